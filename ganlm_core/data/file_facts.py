"""Facts about a text file that its user should know, such as lines that were left out, as notes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ganlm_core.data.formats import COMPLETION, LABEL, PROMPT, TEXT, Record


@dataclass
class FileFacts:
    """Counts of a file's records.

    ``blank`` are left out. ``several_lines`` had line breaks in their text. ``glued`` follow their prompt without white
    space. ``unused`` are columns with a name of the format that are not read. ``looks_like`` is the result of
    :func:`ganlm_core.data.formats.looks_like`. ``repeated`` of the ``total`` sentences repeat another.
    """

    blank: int = 0
    several_lines: int = 0
    glued: int = 0
    unused: list[str] = field(default_factory=list)
    looks_like: str = ""
    total: int = 0
    repeated: int = 0

    def add(self, record: Record, blank: bool) -> None:
        """Count a record as its file has it; ``blank`` if no text of it is left on one line."""
        if blank:
            self.blank += 1
            return
        prompt = record.prompt
        self.several_lines += "\n" in record.text.strip()
        self.glued += bool(prompt.strip()) and not prompt[-1].isspace() and not record.text[0].isspace()
        for name in (LABEL, PROMPT, COMPLETION):
            if name in record.others and name not in self.unused:
                self.unused.append(name)

    def notes(self, name: str, column: str = TEXT) -> Iterator[str]:
        """Yield a note for each fact about the file ``name``, of which ``column`` was read."""
        if LABEL in self.unused:
            yield f"{name} has a column 'label'; --corpus.label label lets the model write text of a label"
        if column == TEXT and COMPLETION in self.unused:
            asked = " --corpus.prompt prompt" if PROMPT in self.unused else ""
            yield (
                f"{name} has a column 'completion' beside 'text', which is read; "
                f"--corpus.column completion{asked} reads the other"
            )
        if self.looks_like:
            yield (
                f"{name} looks like {self.looks_like} but is read as plain text, one sentence per line; "
                "files named .csv, .tsv, .json and .jsonl are read by column or key"
            )
        if self.blank:
            yield f"{name}: {self.blank:,} blank lines skipped"
        if self.several_lines:
            yield (
                f"{name}: {self.several_lines:,} sentences have line breaks, which became spaces; if they should have "
                "none, look for a quotation mark that is not closed"
            )
        if self.glued:
            yield (
                f"{name}: {self.glued:,} texts follow their prompt without a space; "
                "if a new word begins there, start the text with a space"
            )
        if self.repeated:
            share = self.repeated / self.total
            yield f"{name}: {self.repeated:,} of {self.total:,} sentences ({share:.1%}) repeat another"
