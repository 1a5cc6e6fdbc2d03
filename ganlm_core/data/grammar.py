"""English sentences with number agreement, from a probabilistic grammar written for this project.

The grammar is data. In ``RULES`` a symbol has alternatives separated by ``|``, each after its weight. ``#`` stands for
the number, singular or plural, which is the same everywhere in one alternative; ``is/are`` gives both forms, and
``3/0`` is a weight of 3 in the singular and 0 in the plural. A symbol without ``#`` takes both numbers, with half of
the weight each. ``WORDS`` has the words of each class, all equally likely; words that can follow the article "a" begin
with a consonant. Symbols begin with a capital letter; anything else is a word.
"""

import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from math import inf, log

from ganlm_core.data.corpus import Columns, Corpus, split
from ganlm_core.data.options import GrammarOptions
from ganlm_core.data.text import words
from ganlm_core.system.arguments import strings, whole

LARGEST_SEED = 2**64
"""Larger than the seed of a run, to which metrics add a constant."""

RULES = {
    "Sentence": "8 Clause . | 1 When Clause .",
    "Clause": "4 Person# PersonDoes# | 4 Animal# AnimalDoes# | 1 Vehicle# VehicleDoes#",
    "Person#": "7 PlainPerson# | 1 Det# PersonNoun# Place | 1 Det# PersonNoun# who Tend# OneAnimal"
    " | 1 Det# PersonNoun# that OnePersonMeets",
    "Animal#": "7 PlainAnimal# | 1 Det# AnimalNoun# Place | 1 Det# AnimalNoun# that Chase# OneAnimal"
    " | 1 Det# AnimalNoun# that OnePersonTends",
    "Vehicle#": "3 PlainVehicle# | 1 Det# VehicleNoun# Place",
    "PersonDoes#": "2 PersonMoves# | 1 PersonMoves# Place | 1 Is# PersonMood | 2 Meet# SomePerson | 2 Tend# SomeAnimal"
    " | 2 Write# SomeText",
    "AnimalDoes#": "2 AnimalMoves# | 1 AnimalMoves# Place | 1 Is# AnimalMood | 3 Chase# SomeAnimal | 2 Eat# SomeFood",
    "VehicleDoes#": "2 VehicleMoves# Place | 1 Carry# SomePerson",
    "SomePerson": "1 PlainPerson#",
    "SomeAnimal": "1 PlainAnimal#",
    "SomeText": "1 Det# TextNoun#",
    "SomeFood": "1 Det# FoodNoun#",
    "PlainPerson#": "3 Det# PersonNoun# | 1 Det# PersonKind PersonNoun#",
    "PlainAnimal#": "3 Det# AnimalNoun# | 1 Det# AnimalKind AnimalNoun#",
    "PlainVehicle#": "3 Det# VehicleNoun# | 1 Det# VehicleKind VehicleNoun#",
    "OneAnimal": "1 Det# AnimalNoun#",
    "OnePersonMeets": "1 Det# PersonNoun# Meet#",
    "OnePersonTends": "1 Det# PersonNoun# Tend#",
    "Place": "1 in the Region | 1 near the Landmark",
    "When": "1 today | 1 tonight | 2 in the Season",
    "Is#": "1 is/are",
    "Det#": "6 the | 4/0 a | 1/0 this | 1/0 every | 0/1 these | 0/2 some | 0/2 many | 1 my",
}

WORDS = {
    "PersonNoun#": "teacher/teachers child/children farmer/farmers painter/painters doctor/doctors sailor/sailors"
    " baker/bakers girl/girls boy/boys woman/women man/men poet/poets",
    "PersonKind": "young kind clever brave tall wise",
    "PersonMood": "happy tired hungry proud busy",
    "PersonMoves#": "sings/sing dances/dance laughs/laugh works/work waits/wait dreams/dream",
    "Meet#": "meets/meet helps/help loves/love teaches/teach visits/visit",
    "Tend#": "feeds/feed loves/love watches/watch draws/draw",
    "Write#": "writes/write reads/read likes/like sells/sell",
    "AnimalNoun#": "dog/dogs cat/cats bird/birds horse/horses fox/foxes bear/bears rabbit/rabbits"
    " mouse/mice goose/geese duck/ducks",
    "AnimalKind": "small gray brown white black wild",
    "AnimalMood": "hungry tired asleep calm",
    "AnimalMoves#": "sleeps/sleep runs/run plays/play hides/hide jumps/jump",
    "Chase#": "chases/chase follows/follow fears/fear watches/watch",
    "Eat#": "eats/eat finds/find steals/steal carries/carry",
    "VehicleNoun#": "train/trains bus/buses truck/trucks car/cars boat/boats",
    "VehicleKind": "red blue slow new",
    "VehicleMoves#": "stops/stop turns/turn waits/wait",
    "Carry#": "carries/carry brings/bring",
    "TextNoun#": "book/books letter/letters story/stories poem/poems song/songs",
    "FoodNoun#": "carrot/carrots pear/pears cake/cakes peach/peaches",
    "Region": "garden forest field village city",
    "Landmark": "river lake hill road school mill",
    "Season": "morning evening spring summer winter",
}

NUMBERS = {
    "singular": RULES | {"Clause": "4/0 Person# PersonDoes# | 4/0 Animal# AnimalDoes# | 1/0 Vehicle# VehicleDoes#"},
    "plural": RULES | {"Clause": "0/4 Person# PersonDoes# | 0/4 Animal# AnimalDoes# | 0/1 Vehicle# VehicleDoes#"},
}
"""The rules of the sentences whose subject has a number. Each is half of all sentences."""

END = ""
"""The end of the sentence, among the words that can come next."""

Production = tuple[float, tuple[str, ...]]
Belief = tuple[tuple[tuple[str, ...], float], ...]
"""The possible rests of a sentence after the words so far: stacks of symbols, next one first, with probabilities."""


class Grammar:
    """The distribution over sentences of rules and words; a :class:`ganlm_core.data.corpus.Process`.

    The language is finite: no symbol may lead back to itself. An automaton reads a sentence from left to right; its
    state is the belief over the rest of the sentence, so every probability is summed over all derivations.
    """

    name = "grammar"

    def __init__(self, rules: Mapping[str, str] = RULES, words: Mapping[str, str] = WORDS) -> None:
        self._productions = _productions(rules, words)
        self._next = cache(self._expand)
        self._moves = cache(self._read)
        self._choices = cache(self._cumulated)
        self._start: Belief = ((("Sentence",), 1.0),)

    @property
    def words(self) -> list[str]:
        """All words of the grammar, sorted."""
        items = {item for alternatives in self._productions.values() for _, body in alternatives for item in body}
        return sorted(items - self._productions.keys())

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        """Return the log-probability of each sentence in nats; ``-inf`` if the grammar cannot produce it.

        Raises OptionError for a value that is no list of strings.
        """
        return [self._log_prob(words(text)) for text in strings("texts", texts)]

    def sample(self, n: int, seed: int) -> list[str]:
        """Return ``n`` sentences, drawn with ``random.random()`` only, which is the same in every version of Python.

        Raises OptionError for numbers that are not whole, or are below 0.
        """
        rng = random.Random(whole("seed", seed, most=LARGEST_SEED))
        return [" ".join(self._sentence(rng)) for _ in range(whole("n", n))]

    def entropy(self) -> float:
        """Return the exact entropy of a sentence in nats: over sentences, not over derivations."""

        @cache
        def remaining(belief: Belief) -> float:
            return sum(p * (remaining(after) - log(p)) for p, after in self._moves(belief).values())

        return remaining(self._start)

    def _log_prob(self, words: Iterable[str]) -> float:
        belief, total = self._start, 0.0
        for word in (*words, END):
            move = self._moves(belief).get(word)
            if move is None:
                return -inf
            total += log(move[0])
            belief = move[1]
        return total

    def _sentence(self, rng: random.Random) -> list[str]:
        words: list[str] = []
        belief = self._start
        while True:
            choices, cumulative = self._choices(belief)
            word, belief = choices[bisect(cumulative, rng.random() * cumulative[-1], hi=len(choices) - 1)]
            if word == END:
                return words
            words.append(word)

    def _cumulated(self, belief: Belief) -> tuple[list[tuple[str, Belief]], list[float]]:
        """Return each word that can come next with the next belief, and the cumulative probabilities of the words."""
        moves = self._moves(belief)
        return [(word, after) for word, (_, after) in moves.items()], list(accumulate(p for p, _ in moves.values()))

    def _read(self, belief: Belief) -> dict[str, tuple[float, Belief]]:
        """Return each word that can come next, with its probability and the next belief."""
        after: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))
        for stack, weight in belief:
            for word, rest, p in self._next(stack):
                after[word][rest] += weight * p
        totals = {word: sum(stacks.values()) for word, stacks in after.items()}
        return {
            word: (total, tuple((stack, p / total) for stack, p in after[word].items()) if word != END else ())
            for word, total in totals.items()
        }

    def _expand(self, stack: tuple[str, ...]) -> list[tuple[str, tuple[str, ...], float]]:
        """Return the possible first words of a stack of symbols: (word, the rest of the stack, probability)."""
        if not stack:
            return [(END, (), 1.0)]
        first, rest = stack[0], stack[1:]
        if first not in self._productions:
            return [(first, rest, 1.0)]
        return [
            (word, after, p * q) for p, body in self._productions[first] for word, after, q in self._next(body + rest)
        ]


class NumberedGrammar(Grammar):
    """The grammar with a label: the number of the subject, ``singular`` or ``plural``, each with probability 1/2.

    A sentence shows its label by the forms of the subject and of its verb.
    """

    def __init__(self) -> None:
        super().__init__()
        self._given = {label: Grammar(rules) for label, rules in NUMBERS.items()}

    def log_prob_given(self, texts: Sequence[str], labels: Sequence[str]) -> list[float]:
        """Return log p(text | label) of each sentence in nats; ``-inf`` if the sentence has another label or none."""
        return [self._given[label].log_prob([text])[0] for text, label in zip(texts, labels, strict=True)]

    def labels_of(self, texts: Sequence[str]) -> list[str]:
        """Return the label of each sentence; "" for one that the grammar cannot produce."""
        return [
            next((label for label, each in self._given.items() if each.log_prob([text])[0] > -inf), "")
            for text in texts
        ]


def _productions(rules: Mapping[str, str], words: Mapping[str, str]) -> dict[str, list[Production]]:
    """Parse the notation of this module: write out singular and plural, and make weights probabilities."""
    written = {head: [alternative.split() for alternative in text.split("|")] for head, text in rules.items()}
    written |= {head: [["1", word] for word in text.split()] for head, text in words.items()}
    weighted: dict[str, dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    for head, alternatives in written.items():
        for number in (0, 1):
            for alternative in alternatives:
                weight, *body = (_inflect(item, number) for item in alternative)
                weighted[_inflect(head, number)][tuple(body)] += int(weight)
    return {
        head: [(weight / sum(bodies.values()), body) for body, weight in bodies.items() if weight]
        for head, bodies in weighted.items()
    }


def _inflect(item: str, number: int) -> str:
    return item.split("/")[number] if "/" in item else item.replace("#", (".singular", ".plural")[number])


def grammar_corpus(options: GrammarOptions) -> Corpus:
    """Return ``options.size`` sentences; the process gives their exact probabilities, and their labels if asked for."""
    if options.label == "none":
        grammar = Grammar()
        return split("grammar", grammar.sample(options.size, options.seed), process=grammar)
    numbered = NumberedGrammar()
    texts = numbered.sample(options.size, options.seed)
    return split("grammar", texts, process=numbered, columns=Columns(numbered.labels_of(texts)))
