"""The reference e-Office: the other side of the contract, a small web application.

It keeps files, notes, movements, posts and dated charges, lets people work on them in a
browser, tells the bridge by signed events and carries out its signed commands. It refuses
what a real e-Office would refuse. It is a working reference, not a records system.
"""
