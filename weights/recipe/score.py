"""BLEU-4 and CIDEr-D of captions, for the recipe's own figures (lower case, punctuation dropped)."""

import math
import re
from collections import Counter


def words(text):
    return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower())


def ngrams(tokens, n):
    return Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))


def bleu4(candidates, references):
    """Corpus BLEU-4; the reference length is the closest one of each photo. candidates [str], references [[str]]."""
    matched, total, length, closest = [0] * 4, [0] * 4, 0, 0
    for candidate, group in zip(candidates, references):
        tokens, others = words(candidate), [words(reference) for reference in group]
        length += len(tokens)
        closest += min((abs(len(other) - len(tokens)), len(other)) for other in others)[1]
        for n in range(1, 5):
            most = Counter()
            for other in others:
                most |= ngrams(other, n)
            grams = ngrams(tokens, n)
            matched[n - 1] += sum((grams & most).values())
            total[n - 1] += sum(grams.values())
    if min(matched) == 0:
        return 0.0
    brevity = min(0.0, 1 - closest / length)
    return math.exp(brevity + sum(math.log(m / t) for m, t in zip(matched, total)) / 4)


class CiderD:
    """CIDEr-D (Vedantam et al. 2015): clipped tf-idf cosines of n-grams, n = 1..4, with a length penalty, times 10."""

    def __init__(self, groups, sigma=6.0):
        """groups [[tokens]]: the captions of each photo, whose share of photos an n-gram occurs in is its document frequency."""
        self.ceiling, self.sigma = math.log(len(groups)), sigma
        self.found = Counter(gram for group in groups for gram in set().union(*(self.grams(tokens) for tokens in group)))

    @staticmethod
    def grams(tokens):
        return {tuple(tokens[i:i + n]) for n in range(1, 5) for i in range(len(tokens) - n + 1)}

    def vectors(self, tokens):
        """A sentence to be compared: [(tf-idf of the n-grams, its norm)] for n = 1..4, and its length."""
        made = []
        for n in range(1, 5):
            vector = {gram: count * (self.ceiling - math.log(max(1, self.found[gram]))) for gram, count in ngrams(tokens, n).items()}
            made.append((vector, math.sqrt(sum(value * value for value in vector.values()))))
        return made, len(tokens)

    def score(self, candidate, references):
        """CIDEr-D of a sentence against references, all as vectors() gives them."""
        total, (vectors, length) = 0.0, candidate
        for others, other_length in references:
            similar = 0.0
            for (vector, norm), (other, other_norm) in zip(vectors, others):
                if norm and other_norm:
                    similar += sum(min(value, other[gram]) * other[gram] for gram, value in vector.items() if gram in other) / (norm * other_norm)
            total += similar * math.exp(-((length - other_length) ** 2) / (2 * self.sigma**2))
        return 10 * total / len(references) / 4


def cider(candidates, references):
    """Mean CIDEr-D of captions, document frequencies from the references themselves. candidates [str], references [[str]]."""
    groups = [[words(reference) for reference in group] for group in references]
    metric = CiderD(groups)
    scores = [metric.score(metric.vectors(words(candidate)), [metric.vectors(tokens) for tokens in group])
              for candidate, group in zip(candidates, groups)]
    return sum(scores) / len(scores)
