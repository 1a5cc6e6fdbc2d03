"""Tell a lack of memory from other errors. It imports no torch."""

import re

_SAYS_SO = re.compile(
    "can't allocate memory|out of memory|Storage size calculation overflowed|Maximum allowed dimension exceeded"
    "|array is too big|invalid IntArrayRef|cannot fit 'int' into an index-sized integer|numel: integer multiplication"
    "|Overflow when unpacking long"
)
"""Messages of torch on the CPU and of numpy, which then raise a RuntimeError or a ValueError."""


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, or that no memory could be enough.

    It reads the arguments, not the text: making the text of a plugin's error may raise another error.
    """
    said = (each for each in error.args if isinstance(each, str))
    return isinstance(error, MemoryError) or any(_SAYS_SO.search(each) for each in said)
