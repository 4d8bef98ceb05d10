"""`python -m rabta_deploy.cli` is `rabta`, of whichever interpreter runs it."""

from rabta_deploy.cli import main

main(prog_name="rabta")
