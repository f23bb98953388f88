"""Simple questions and answers that the words of a photo's captions allow, by rules.

What the captions do not say is not asked, except whether something is there: a noun none of the five captions names is
taken to be absent, which is right far more often than not, but not always.
"""

import re
from dataclasses import dataclass

PEOPLE = {
    "man": ["man", "guy", "gentleman"], "woman": ["woman", "lady"], "boy": ["boy"], "girl": ["girl"],
    "child": ["child", "kid", "toddler", "baby"], "person": ["person"],
}
PEOPLE_PLURALS = {"man": "men", "woman": "women", "boy": "boys", "girl": "girls", "child": "children", "person": "people"}
# Further words that mean people are there, so that no question about absent people is asked.
PEOPLE_WORDS = set("""man men woman women boy boys girl girls child children kid kids toddler toddlers baby babies person people
guy guys lady ladies gentleman player players rider riders skier snowboarder surfer climber biker cyclist skateboarder
swimmer hiker runner team crowd couple family group teenager adult adults someone worker player athlete friends""".split())

# Things: singular -> other words that name it.
THINGS = {
    "dog": ["puppy", "poodle", "terrier", "greyhound", "dachshund", "retriever", "labrador", "bulldog", "collie", "husky"],
    "cat": ["kitten"], "horse": ["pony"], "bird": ["seagull", "duck", "pigeon", "parrot"], "cow": ["bull", "cattle"],
    "ball": ["basketball", "football", "soccer", "tennis", "baseball", "volleyball"], "bicycle": ["bike", "biker", "cyclist", "bmx"],
    "motorcycle": ["motorbike", "dirtbike", "bike"], "car": ["vehicle", "truck", "suv", "taxi"], "truck": ["car", "vehicle"],
    "bus": [], "train": [], "boat": ["canoe", "kayak", "ship", "raft"], "skateboard": ["skateboarder", "skateboarding"],
    "snowboard": ["snowboarder", "snowboarding"], "surfboard": ["surfer", "surfing", "surf", "surfs"], "swing": ["swinging"],
    "slide": ["sliding", "slides"], "tree": ["trees", "forest", "woods", "branch", "log"], "flower": [], "camera": ["picture"],
    "hat": ["cap", "helmet"], "helmet": ["hat"], "guitar": ["instrument"], "umbrella": [], "fence": [], "bench": [],
    "stick": ["branch"], "frisbee": ["disc", "disk"], "rope": [], "tent": [], "fountain": [], "bridge": [], "rock": ["rocks", "cliff", "boulder"],
    "mountain": ["mountains", "hill", "cliff"], "building": ["house", "buildings", "city"], "pool": ["swimming"], "toy": ["ball", "doll"],
    "chair": ["bench", "seat"], "table": [], "book": ["reading"], "trampoline": [], "hoop": [], "flag": [], "shirt": ["t-shirt"],
    "dress": [], "jacket": ["coat"], "collar": [], "leash": [], "sweater": ["sweatshirt"],
}
PLURALS = {"bench": "benches", "bus": "buses", "dress": "dresses", "leash": "leashes"}
MASS = {"snow": ["snowy", "snowboarder", "ski", "skier", "skiing", "sled"], "water": ["ocean", "lake", "river", "pool", "sea", "pond", "waves", "wave"],
        "grass": ["grassy", "lawn", "field"], "sand": ["sandy", "beach"], "ice": ["icy"]}
COLOURS = "black white brown red blue green yellow orange pink purple gray grey tan blond golden".split()
COLOUR_NOUNS = """dog cat horse bird ball car truck bus bike bicycle motorcycle shirt jacket dress hat cap coat helmet sweater shorts pants
jeans uniform suit vest collar swimsuit boat frisbee toy umbrella hair t-shirt outfit flower kayak canoe tent""".split()
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
COUNTED = {"dogs": "dog", "men": "man", "women": "woman", "boys": "boy", "girls": "girl", "children": "child", "people": "person",
           "kids": "child", "horses": "horse", "birds": "bird", "players": "player", "cars": "car", "cats": "cat"}
PLACES = """beach snow water grass field street park pool forest woods mountain mountains river lake ocean road sidewalk yard sand
stage city playground track room kitchen dirt hill cliff wall bench stairs swing slide couch bed table rock rocks bridge boat
building restaurant store court stadium path trail crowd""".split()
ACTORS = r"man|woman|boy|girl|child|toddler|baby|person|dog|cat|horse|bird|men|women|boys|girls|children|people|dogs|horses|kids|couple|skier|surfer|climber|skateboarder|snowboarder|player|cyclist|biker"
ANIMALS = {"dog", "cat", "horse", "bird"}
PLURAL_ACTORS = {"men", "women", "boys", "girls", "children", "people", "dogs", "horses", "kids"}
VERBS = dict(pair.split("/") for pair in """runs/running jumps/jumping plays/playing stands/standing sits/sitting walks/walking
rides/riding climbs/climbing swims/swimming holds/holding looks/looking catches/catching chases/chasing carries/carrying
wears/wearing throws/throwing leaps/leaping skis/skiing poses/posing eats/eating drinks/drinking digs/digging shakes/shaking
sleeps/sleeping lies/lying smiles/smiling performs/performing skateboards/skateboarding surfs/surfing slides/sliding
swings/swinging dances/dancing kicks/kicking hits/hitting talks/talking sings/singing reads/reading takes/taking""".split())

ACTION = re.compile(rf"^(?:A|An|The|One|Two|Three|Four|Some) (?:[\w-]+,? ){{0,3}}?({ACTORS}) (?:[\w-]+ ){{0,6}}?(?:(is|are) )?(\w+ing) (.+)\.$")
PRESENT = re.compile(rf"^(?:A|An|The|One) (?:[\w-]+,? ){{0,3}}?({ACTORS}) ({'|'.join(VERBS)}) (.+)\.$")
WHO = re.compile(rf"^((?:A|An|Two|Three|Four) (?:[\w-]+,? ){{0,3}}?(?:{ACTORS})(?: (?:in|with|wearing) (?:[\w-]+ ){{1,5}}?)??) ?(?:is|are) (\w+ing) (.+)\.$")
WHERE = re.compile(rf"\b((?:in|on|at|through|along|near|across) (?:the|a|an|some) (?:[\w-]+ )?(?:{'|'.join(PLACES)}))\b")
COLOUR = re.compile(rf"\b((?:{'|'.join(COLOURS)})(?: and (?:{'|'.join(COLOURS)}))?) (?:\w+ )?({'|'.join(COLOUR_NOUNS)})\b")
NOT_VERBS = {"wearing", "holding", "building", "swimming", "morning", "evening", "something", "clothing", "railing", "ring", "string", "king", "ceiling", "spring", "wedding", "during", "being"}
OBJECT_VERBS = "holding|carrying|riding|chasing|throwing|catching|wearing|pulling|kicking|hitting|climbing|pushing"
OBJECT = re.compile(rf"\b({ACTORS}) (?:[\w-]+ ){{0,4}}?({OBJECT_VERBS}) (?:(?:a|an|the|his|her|some) )(?:[\w-]+ ){{0,2}}?({'|'.join(THINGS)})\b")
SHORT = " Answer briefly."
SHORT_SHARE = 0.35
HARD_SHARE = 0.6  # of the absent things asked for: named by the captions of a photo that looks alike


@dataclass(frozen=True)
class Question:
    """A question with its answer as a sentence and, where `accepted` is not empty, in a word or two."""
    kind: str
    text: str
    full: str
    accepted: tuple = ()  # short answers that are right, the commonest first

    @property
    def short_text(self):
        return self.text + (" Answer yes or no." if self.kind == "yes/no" else SHORT)

    def written(self, rng):
        """(question, answer), asking for a short answer now and then."""
        if self.accepted and rng.random() < SHORT_SHARE:
            return self.short_text, self.accepted[0]
        return self.text, self.full


def article(noun):
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"


def with_article(name):
    """'tench' -> 'a tench'; what looks like a plural stays as it is."""
    return name if name.endswith("s") and not name.endswith(("ss", "us", "is")) else article(name)


def present_things(words):
    """Nouns of THINGS, MASS and PEOPLE that a set of words names."""
    found = set()
    for noun in THINGS:
        if noun in words or PLURALS.get(noun, noun + "s") in words:
            found.add(noun)
    for noun in MASS:
        if noun in words:
            found.add(noun)
    for noun, others in PEOPLE.items():
        if PEOPLE_PLURALS[noun] in words or any(other in words for other in others):
            found.add(noun)
    return found


def maybe_present(noun, words):
    """Whether a word hints that the noun is there, so that asking for its absence would be unsafe."""
    if noun in PEOPLE:
        return bool(words & PEOPLE_WORDS)
    return any(hint in words for hint in THINGS.get(noun, MASS.get(noun, [])))


def presence(rng, things, words, pool, hard):
    """Up to one question whether something is there, yes and no equally often. hard: things that photos like this one show."""
    noun, answer = None, "Yes"
    if things and rng.random() < 0.5:
        noun = rng.choice(sorted(things))
    else:
        answer = "No"
        for attempt in range(12):
            among = hard if hard and attempt < 6 and rng.random() < HARD_SHARE else pool
            candidate = rng.choice(among)
            if candidate not in things and not maybe_present(candidate, words):
                noun = candidate
                break
    if noun is None:
        return []
    name = noun if noun in MASS else article(noun)
    text = rng.choice([f"Is there {name}?", f"Is there {name}?", f"Can you see {name}?", f"Do you see {name}?"])
    return [Question("yes/no", text, f"Yes, there is {name}." if answer == "Yes" else f"No, there is no {noun}.", (f"{answer}.",))]


def upper(text):
    return text[0].upper() + text[1:]


def common_first(values):
    """The values, each once, the commonest first."""
    return sorted(dict.fromkeys(values), key=values.count, reverse=True)


def colour_of(sentences):
    """{noun: its colour} where most captions that name one agree."""
    found = {}
    for sentence in sentences:
        for colour, noun in COLOUR.findall(sentence.lower()):
            found.setdefault(noun, []).append(colour)
    likeliest = {noun: common_first(seen)[0] for noun, seen in found.items()}
    return {noun: colour for noun, colour in likeliest.items() if found[noun].count(colour) * 2 > len(found[noun])}


def colours(rng, sentences):
    made = []
    for noun, colour in colour_of(sentences).items():
        verb = "are" if noun in ("shorts", "pants", "jeans") else "is"
        word = rng.choice(["color", "color", "colour"])
        made.append(Question("color", f"What {word} {verb} the {noun}?", f"The {noun} {verb} {colour}.", (f"{upper(colour)}.",)))
    return made


def counts(rng, sentences):
    found = {}
    for sentence in sentences:
        for number, plural in re.findall(rf"\b({'|'.join(NUMBERS)}) (?:[\w-]+ ){{0,2}}?({'|'.join(COUNTED)})\b", sentence.lower()):
            found.setdefault(plural, []).append(number)
    made = []
    for plural, seen in found.items():
        if len(set(seen)) == 1:
            accepted = (f"{upper(seen[0])}.", str(NUMBERS[seen[0]]))
            made.append(Question("number", f"How many {plural} are there?", f"There are {seen[0]} {plural}.", accepted))
    text = " ".join(sentences).lower()
    for plural, noun in COUNTED.items():
        if noun in ("person", "player") or re.search(rf"\b{plural}\b", text):
            continue
        if sum(bool(re.search(rf"\b{noun}\b", sentence.lower())) for sentence in sentences) >= 4:
            made.append(Question("number", f"How many {plural} are there?", f"There is one {noun}.", ("One.", "1")))
    return made[:2]


def kind_of_actor(actor):
    """The animal, or that it is somebody: captions call one person a boy, a child and a skateboarder."""
    singular = actor.removesuffix("s")
    return singular if singular in ANIMALS else "somebody"


def actions(rng, sentences):
    """What somebody does. Accepted is what any caption says that somebody of the kind does."""
    verbs, made = {}, []
    for sentence in sentences:
        if (match := ACTION.match(sentence)) and match[3] not in NOT_VERBS:
            verbs.setdefault(kind_of_actor(match[1]), []).append(match[3])
        elif match := PRESENT.match(sentence):
            verbs.setdefault(kind_of_actor(match[1]), []).append(VERBS[match[2]])
    for sentence in sentences:
        if match := ACTION.match(sentence):
            actor, _, verb, rest = match.groups()
            if verb not in NOT_VERBS:
                be = "are" if actor in PLURAL_ACTORS else "is"
                accepted = tuple(f"{upper(other)}." for other in common_first(verbs[kind_of_actor(actor)]))
                made.append(Question("doing", f"What {be} the {actor} doing?", f"The {actor} {be} {verb} {rest}.", accepted))
        elif match := PRESENT.match(sentence):
            actor, verb, rest = match.groups()
            made.append(Question("doing", f"What is the {actor} doing?", f"The {actor} {verb} {rest}."))
        if match := WHO.match(sentence):
            who, verb, rest = match.groups()
            if verb not in NOT_VERBS and not re.search(r"\b(dogs?|cat|horses?|bird)\b", who):
                made.append(Question("who", f"Who is {verb} {rest}?", f"{who.strip()}."))
    return rng.sample(made, min(2, len(made)))


def described(noun, text):
    """['white shirt', 'soccer ball'] of the words before a noun, as a text has them."""
    return [f"{words}{noun}" for words in re.findall(rf"\b(?:a|an|the|his|her|some) ((?:[\w-]+ ){{1,2}}?){noun}\b", text)]


def objects(rng, sentences):
    """What somebody holds, rides, wears ..."""
    found, text = {}, " ".join(sentences).lower()
    for actor, verb, noun in OBJECT.findall(text):
        found.setdefault((actor, verb), []).append(noun)
    made = []
    for (actor, verb), nouns in found.items():
        be, nouns = "are" if actor in PLURAL_ACTORS else "is", common_first(nouns)
        names = [name for noun in nouns for name in (noun, *common_first(described(noun, text)))]
        accepted = tuple(f"{upper(form)}." for name in names for form in (article(name), name))
        made.append(Question("what", f"What {be} the {actor} {verb}?", f"The {actor} {be} {verb} {article(nouns[0])}.", accepted))
    return rng.sample(made, min(1, len(made)))


def places(rng, sentences):
    found = [place for sentence in sentences for place in WHERE.findall(sentence.lower())]
    if not found:
        return []
    place = rng.choice(found)
    accepted = tuple(f"{upper(other)}." for other in common_first([place, *found]))
    actor = re.search(rf"\b({ACTORS})\b", " ".join(sentences))
    if actor and rng.random() < 0.6:
        be, it = ("are", "They are") if actor[1] in PLURAL_ACTORS else ("is", "It is" if actor[1] in ANIMALS else f"The {actor[1]} is")
        return [Question("where", f"Where {be} the {actor[1]}?", f"{it} {place}.", accepted)]
    return [Question("where", rng.choice(["Where is this?", "Where does this take place?"]), f"This is {place}.", accepted)]


class PhotoQuestions:
    """The questions that the captions of each photo allow."""

    def __init__(self, sentences, alike=None):
        """sentences: [[str]] by photo; alike: (N, K) photos that look like each, for absent things that are likely, or None."""
        self.sentences, self.alike = sentences, alike
        self.words = [set(re.findall(r"[\w-]+", " ".join(group).lower())) for group in sentences]
        self.things = [present_things(group) for group in self.words]
        self.pool = [noun for group in self.things for noun in sorted(group)]

    def hard(self, photo):
        """Things that photos like this one show, as often as they do."""
        return [] if self.alike is None else [noun for other in self.alike[photo] for noun in sorted(self.things[other])]

    def absent(self, rng, photo, nouns):
        """One of `nouns` that this photo does not show as far as its captions say, or None."""
        safe = [noun for noun in nouns if noun not in self.things[photo] and not maybe_present(noun, self.words[photo])]
        return rng.choice(safe) if safe else None

    def __call__(self, photo, rng):
        group = self.sentences[photo]
        made = presence(rng, self.things[photo], self.words[photo], self.pool, self.hard(photo))
        return made + colours(rng, group) + counts(rng, group) + actions(rng, group) + objects(rng, group) + places(rng, group)
