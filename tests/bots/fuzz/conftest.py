"""The fuzzer's own modules, and the loose parts of the client that it throws at."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "matrix"))
