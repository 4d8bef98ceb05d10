"""The coverage-guided fuzzer: `make fuzz SECONDS=60`. Arguments are libFuzzer's.

What breaks is written to `crash-*`; `python tests/bots/fuzz/fuzz.py crash-...` repeats it.
"""

import atexit
import logging
import sys
from pathlib import Path

import atheris
import structlog

HERE = Path(__file__).parent
sys.path[:0] = [str(place) for place in (HERE, HERE.parent, HERE.parent / "matrix")]

with atheris.instrument_imports(include=["rabta_bots", "rabta_contract", "nio.crypto"]):
    from mutation import mutate
    from target import Target

# What hostile input makes the bridge log would bury what the fuzzer says.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
logging.disable()
target = Target()
atexit.register(target.close)
atheris.Setup(sys.argv, target.throw, custom_mutator=mutate)
atheris.Fuzz()
