"""The words by which a text makes a claim, in both languages, folded (no diacritics, lower case).

Regular expressions, matched as whole words. Data only: what a match means is decided in claims.
"""

from __future__ import annotations

import re

from pigeonry.domain import Language


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")


FREE = {
    Language.EN: _any(
        r"(?<!-)free(?! time)(?!-)", r"freebies?", r"free of charge", r"at no (?:extra )?(?:cost|charge)",
        r"no (?:extra )?(?:cost|charge|fee)", r"on us", r"on the house", r"complimentary",
        r"costs? (?:you )?nothing", r"pay nothing", r"without (?:paying|charge|cost)", r"gratis",
        r"(?:as )?(?:a |your )?gifts?", r"bonus",
    ),
    Language.RO: _any(
        r"gratui[a-z]*", r"gratis", r"moca", r"pe gratis", r"cadou\w*", r"bonus\w*",
        r"fara (?:niciun |nici un )?costu?r?i?(?: suplimentare?)?(?: de \w+)?", r"fara (?:plata|taxe?|sa platesti)",
        r"nu (?:te |va )?costa nimic", r"nu plat\w+ nimic", r"pe gratis", r"(?:e|este|sunt|va fi) din partea (?:noastra|casei)",
        r"zero (?:lei|costuri)", r"cinste de la noi",
    ),
}  # fmt: skip
GUARANTEE = {
    Language.EN: _any(
        r"guarant\w+", r"warrant(?:y|ies|ed)", r"money[- ]back", r"money back", r"risk[- ]free",
        r"no[- ]risk", r"without risk", r"your money", r"for life", r"lifetime", r"we promise", r"promise you",
        r"full refund", r"refund\w*", r"always works", r"never fails",
    ),
    Language.RO: _any(
        r"garan\w+", r"banii inapoi", r"ramburs\w+", r"fara (?:niciun )?risc\w*", r"pe viata",
        r"iti promitem", r"va promitem", r"sigur (?:vei|o sa)", r"suta la suta", r"iti dam banii",
    ),
}  # fmt: skip
SUPERLATIVE = {
    Language.EN: _any(
        r"best", r"greatest", r"finest", r"fastest", r"cheapest", r"lowest", r"highest", r"largest",
        r"biggest", r"easiest", r"simplest", r"smartest", r"strongest", r"quickest", r"safest", r"newest",
        r"softest", r"lightest", r"sharpest", r"freshest", r"brightest", r"purest", r"quietest", r"warmest",
        r"most (?!of\b)\w+", r"number one", r"no\.? ?1", r"#1", r"nr\.? ?1", r"leading", r"top[- ]rated", r"world[- ]class",
        r"unbeatable", r"unrivalled", r"unmatched", r"ultimate", r"perfect", r"the only", r"like no other",
        r"second to none", r"premier", r"unique", r"the first (?:and only )?(?:in|of its)", r"100 ?%",
    ),
    Language.RO: _any(
        r"ce[al]i? mai \w+", r"cele mai \w+", r"celor mai \w+", r"celei mai \w+", r"celui mai \w+", r"numarul (?:1|unu)", r"nr\.? ?1",
        r"locul (?:1|intai)", r"lider\w*", r"imbatabil\w*", r"inegalabil\w*", r"unic\w*", r"perfect\w*",
        r"singur(?:ul|a)(?: \w+)? din", r"fara egal", r"fara rival", r"de top", r"suprem\w*", r"ideal\w*",
    ),
}  # fmt: skip
COMPARISON = {
    Language.EN: _any(
        r"than (?:any|other|every|the (?:others?|competition|rest)|most|all|[a-z]+)", r"competit(?:ion|ors?)",
        r"compared (?:to|with)", r"unlike (?:other|the|any)\w*", r"no other", r"beats? (?:any|other|the)\w*",
        r"better than", r"rivals?",
    ),
    Language.RO: _any(
        r"(?:mai \w+) (?:decat|ca (?:la|orice|ceilalti|alt\w*))", r"decat (?:orice|ceilalti|celelalte|alt\w*|la)",
        r"concuren\w+", r"spre deosebire de", r"fata de (?:alt\w*|celelalte|ceilalti)", r"rival\w*",
        r"niciun alt\w*", r"nicio alta",
    ),
}  # fmt: skip
SCARCITY = {
    Language.EN: _any(
        r"only \w+ (?:seats?|places?|spots?|rooms?|left|remaining|pieces?|copies)", r"last (?:chance|call|seats?|places?|spots?|few|days?|hours?|pieces?|\d+|one)",
        r"final (?:days?|hours?|call|chance)", r"limited (?:time|places?|seats?|stock|edition|offer|number|supply)", r"while (?:stocks?|supplies) lasts?",
        r"selling (?:out|fast)", r"almost (?:gone|sold out)", r"running out", r"hurry\w*", r"act (?:now|fast)", r"don'?t miss", r"before (?:it'?s|they'?re) (?:gone|too late)",
        r"ends? (?:soon|today|tonight|tomorrow)", r"expires? (?:soon|today|tonight)", r"today only", r"now or never", r"(?:seats?|places?|spots?|rooms?) left", r"exclusive\w*",
        r"until midnight", r"by midnight", r"this week only", r"sold out", r"few left", r"going fast", r"order now", r"buy now", r"limited to",
    ),
    Language.RO: _any(
        r"ultim(?:ul|a|ele|ii|ele)(?: \w+)?", r"mai (?:sunt|e|sint) (?:doar|numai)", r"doar \d+ (?:locuri|bucati)", r"locuri(?:le)? (?:limitate|ramase|libere)", r"stoc(?:ul|uri)? (?:limitat\w*|e pe|este pe|redus)",
        r"pe terminate", r"grabe[sș]te\w*", r"grabit[iă]\w*", r"in limita stoc\w+", r"nu rata\w*", r"nu pierde\w*", r"se epuizeaza", r"(?:expira|se incheie|se termina) (?:azi|astazi|maine|curand|in curand|diseara)",
        r"doar (?:azi|astazi|maine|acum|pana)", r"numai (?:azi|astazi|acum)", r"acum ori niciodata", r"pana (?:nu e prea tarziu|la miezul noptii|diseara|maine)", r"miezul noptii", r"oferta limitata", r"editie limitata", r"exclusiv\w*",
        r"timp limitat", r"cat mai (?:e|sunt|este)", r"ultima sansa", r"se vinde repede",
    ),
}  # fmt: skip
PROOF = {
    Language.EN: _any(
        r"award\w*", r"winn(?:er|ing)\w*", r"certif\w+", r"approved", r"accredit\w+", r"endors\w+", r"recommended by", r"(?:trusted|loved|used|chosen) by", r"clinically", r"proven",
        r"says", r"according to", r"customers? (?:say|love)\w*", r"reviews?", r"rated", r"stars?", r"testimon\w+", r"studies", r"experts? (?:say|agree|recommend)\w*", r"thousands", r"millions", r"hundreds", r"named",
        r"iso \d*", r"patented", r"fans?", r"everyone (?:loves|is talking)",
    ),
    Language.RO: _any(
        r"premi(?:at\w*|ul|u|ile|i)", r"certificat\w*", r"certificar\w*", r"acredit\w*", r"aprobat\w*", r"recomandat\w* de", r"ales\w* de (?:peste|mii|sute)", r"testat\w* (?:clinic|dermatologic)", r"dovedit\w*", r"clientii (?:spun|nostri spun|iubesc)",
        r"potrivit (?:unui|unor)", r"recenzi\w*", r"stele", r"testimonial\w*", r"studii(?:le)? (?:arata|spun)", r"expertii", r"specialistii (?:spun|recomanda)", r"mii de", r"milioane de", r"sute de", r"brevetat\w*", r"castigator\w*", r"desemnat\w*",
    ),
}  # fmt: skip
UNIVERSAL = {
    Language.EN: _any(r"any", r"everyone", r"everybody", r"anyone", r"always", r"no matter", r"or not", r"alike", r"all (?:customers|orders|members|users|clients)", r"every (?:order|customer|member|stay|time)", r"anywhere", r"whoever", r"for all", r"regardless"),
    Language.RO: _any(r"orice", r"oricare", r"oricine", r"toata lumea", r"mereu", r"intotdeauna", r"tuturor", r"toti", r"toate comenzile", r"fie ca", r"fie si", r"indiferent", r"la fiecare comanda", r"pentru toti", r"oricand", r"oricui"),
}  # fmt: skip
CONDITION = {
    Language.EN: _any(r"over", r"above", r"at least", r"or (?:more|longer)", r"minimum", r"only", r"when you", r"if you", r"for (?:new|buyers|non\w+|members|subscribers|students|orders)", r"new (?:members|customers|clients)", r"subscribers", r"members", r"up to", r"before", r"first[- ]time", r"orders? (?:of|over)", r"on request", r"with (?:the )?code", r"applies to", r"in[- ]store"),
    Language.RO: _any(r"peste", r"minim\w*", r"cel putin", r"doar", r"numai", r"daca", r"pentru (?:cei|comenzi|sejururi|membri|abonati|studenti|cursanti\w*|clienti)", r"noi", r"la comenzi", r"prima", r"primul", r"se aplica", r"cu codul", r"pana la", r"din abonament"),
}  # fmt: skip
# Those of UNIVERSAL that say it to everybody, whatever else the sentence speaks of.
EVERYBODY = {
    Language.EN: _any(r"everyone", r"everybody", r"anyone", r"or not", r"alike", r"no matter", r"regardless", r"whoever"),
    Language.RO: _any(r"oricine", r"toata lumea", r"tuturor", r"fie ca", r"fie si", r"indiferent", r"oricui", r"pentru toti"),
}  # fmt: skip
NEGATION = {
    Language.EN: re.compile(r"(?<!\w)(?:no|not|never|without|isn't|aren't|don't|doesn't|won't|zero)(?!\w)"),
    Language.RO: re.compile(r"(?<!\w)(?:nu|fara|nicio|niciun|niciuna|nici|n-are|zero)(?!\w)"),
}  # fmt: skip
# Things whose absence is a claim even when no fact speaks of them.
BURDENS = {
    Language.EN: _any(r"card", r"contract", r"fees?", r"subscription", r"ads?", r"commitment", r"obligations?", r"commission", r"deposit", r"hidden costs?", r"side effects?", r"sugar", r"chemicals"),
    Language.RO: _any(r"card\w*", r"contract\w*", r"taxe?", r"comision\w*", r"abonament\w*", r"reclam\w*", r"obligati\w*", r"costuri ascunse", r"avans", r"zahar", r"chimicale", r"efecte secundare"),
}  # fmt: skip
WEEKDAYS = {
    Language.EN: ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    Language.RO: ("luni", "marti", "miercuri", "joi", "vineri", "sambata", "duminica"),
}
# A weekday, a month's end or "tomorrow" is a deadline or a date only after one of these.
DEADLINE = {
    Language.EN: re.compile(
        r"(?<!\w)(?:by|before|until|till|from|on|this|next|every|through|to)\s+(?:(?:this|next|the|end of|the end of)\s+)*"
        r"(mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|tomorrow|tonight|weekend|month|week(?= only)|the month)(?!\w)"
    ),
    Language.RO: re.compile(
        r"(?<!\w)(?:pana|pe|de|din|incepand|vinerea|in)\s+(?:(?:la|in|de|cu|aceasta|acest|sfarsitul)\s+)*"
        r"(luni(?!\w)(?=\s|[.,!?]|$)|marti|miercuri|joi|vineri|sambata|duminica|weekendul\w*|saptamanii|lunii)(?!\w)"
    ),
}  # fmt: skip
SPAM = {
    Language.EN: _any(r"act now", r"click here", r"buy now", r"order now", r"100% free", r"cash bonus", r"earn money", r"extra income", r"make money", r"miracle", r"no obligation", r"risk[- ]free", r"winner", r"congratulations", r"urgent", r"amazing", r"incredible", r"cheap", r"lowest price", r"special promotion", r"viagra", r"casino", r"dear friend", r"this is not spam", r"guaranteed", r"once in a lifetime", r"game[- ]changer", r"unlock", r"elevate"),
    Language.RO: _any(r"apasa aici", r"click aici", r"cumpara acum", r"comanda acum", r"castiga bani", r"venit suplimentar", r"miracol\w*", r"felicitari", r"urgent", r"incredibil\w*", r"uimitor\w*", r"ieftin\w*", r"pret mic", r"sansa vietii", r"nu e spam", r"revolutionar\w*", r"senzational\w*", r"cazino\w*"),
}  # fmt: skip
# What a mail should not call its reader.
SENSITIVE = {
    Language.EN: _any(r"unemploy\w+", r"jobless", r"poor", r"debts?", r"divorc\w+", r"pregnan\w+", r"ill", r"sick", r"disab\w+", r"fat", r"overweight", r"lonely", r"old age", r"failures?", r"losers?", r"stupid", r"religio\w+"),
    Language.RO: _any(r"somer\w*", r"sarac\w*", r"datorii", r"datornic\w*", r"divort\w*", r"insarcinat\w*", r"bolnav\w*", r"dizabil\w*", r"gras\w*", r"singuratic\w*", r"ratat\w*", r"prost\w*"),
}  # fmt: skip
