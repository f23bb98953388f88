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


def cider(candidates, references, sigma=6.0):
    """CIDEr-D: mean over n = 1..4 of the clipped tf-idf cosine with each reference, with a length penalty, times 10."""
    groups = [[words(reference) for reference in group] for group in references]
    scores = [0.0] * len(groups)
    for n in range(1, 5):
        found = Counter(gram for group in groups for gram in set().union(*(ngrams(other, n) for other in group)))
        ceiling = math.log(len(groups))

        def weigh(tokens):
            vector = {gram: count * (ceiling - math.log(max(1, found[gram]))) for gram, count in ngrams(tokens, n).items()}
            return vector, math.sqrt(sum(value * value for value in vector.values()))

        for index, (candidate, group) in enumerate(zip(candidates, groups)):
            tokens = words(candidate)
            vector, norm = weigh(tokens)
            for other in group:
                reference, reference_norm = weigh(other)
                if norm and reference_norm:
                    product = sum(min(value, reference.get(gram, 0.0)) * reference.get(gram, 0.0) for gram, value in vector.items())
                    penalty = math.exp(-((len(tokens) - len(other)) ** 2) / (2 * sigma**2))
                    scores[index] += 10 * product / (norm * reference_norm) * penalty / len(group) / 4
    return sum(scores) / len(scores)
