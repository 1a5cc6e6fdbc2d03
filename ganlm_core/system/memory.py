"""Tell a lack of memory from other errors. No torch in here."""

import re

_SAYS_SO = re.compile(
    "can't allocate memory|out of memory|Storage size calculation overflowed|Maximum allowed dimension exceeded"
    "|array is too big|invalid IntArrayRef|cannot fit 'int' into an index-sized integer|numel: integer multiplication"
    "|Overflow when unpacking long"
)
"""Messages of torch on a CPU and of numpy, which raise a RuntimeError or a ValueError then."""


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, or that no memory could be enough.

    The arguments are read, and not the text: a plugin's error may raise another one while it makes its text.
    """
    said = (each for each in error.args if isinstance(each, str))
    return isinstance(error, MemoryError) or any(_SAYS_SO.search(each) for each in said)
