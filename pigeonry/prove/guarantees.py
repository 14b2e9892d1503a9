"""The guarantees that one command can try, each with what it assumes and what breaks it; and the table of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pigeonry import __version__
from pigeonry.prove.guarantee import Guarantee, Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.trials import (
    bots,
    consenting,
    exporting,
    forgetting,
    freezing,
    killing,
    one_click,
    redirecting,
    restoring,
    stopping,
    suppressing,
    trouble,
    troubled_database,
    webhooks,
)

GUARANTEES = (
    Guarantee(
        "G1 Never twice, never lost",
        "Each planned mail is handed over at most once, unless evidence shows that it was not accepted; each "
        "ends as accepted, failed, cancelled, unknown or parked. Senders are killed by SIGKILL at random.",
        "The database keeps what it committed. A sender's process ends when it is killed.",
        "The machine (not the process) goes down in the middle: hand-overs under way then become unknown, not "
        "lost and not repeated. SMTP gives no evidence: its unknowns are parked for a person. A person who says "
        "--not-sent of a mail that was sent.",
        killing.at_random,
    ),
    Guarantee(
        "G1 At every place of the code",
        "The same, when the sender dies before or after each commit and each write to a socket, one by one.",
        "The places are those of pigeonry.domain.failpoint; a commit or a write that has none is not tried.",
        "As above.",
        killing.at_every_place,
    ),
    Guarantee(
        "G2 Split brain is harmless",
        "A sender that was stopped for longer than its lease wakes up beside its replacement, and nobody gets a "
        "second mail.",
        "No pause between the last check and the first byte lasts longer than lease and quarantine together; "
        "start-up refuses a lease shorter than the longest hand-over, and a quarantine shorter than that and the "
        "latest event.",
        "A longer pause in just that place, with a provider whose silence counts as evidence (SendGrid).",
        freezing.split_brain,
    ),
    Guarantee(
        "G2 Frozen before the socket",
        "A mail whose sender froze between fence and hand-over for more than 2 s is given back, not sent; one "
        "frozen right before the first byte, for less than lease and quarantine, is sent once.",
        "As above.",
        "As above.",
        freezing.frozen_before_the_socket,
    ),
    Guarantee(
        "G3 Stop wins",
        "From the commit of an unsubscribe, a complaint, a reply that asks to stop, an import of a stop or an "
        "erasure, no hand-over to that person begins.",
        "A mail that was fenced before the commit may still leave for 2 s (counted separately).",
        "A provider that delivers late what it had accepted before.",
        suppressing.suppression_wins,
    ),
    Guarantee(
        "G4 No consent, no mail",
        "Whatever lists, people and providers said, in whatever order, and whatever they say while mail goes out: "
        "mail reaches those whom a plain reading of the history allows, each of them, and nobody else.",
        "What a list says was agreed, was agreed. A mail that was fenced before a consent ended or was taken back "
        "may still leave for 2 s (counted separately).",
        "A list whose stated basis is wrong; a person who is listed under another address than the one that left.",
        consenting.no_consent_no_mail,
    ),
    Guarantee(
        "G5 Provider trouble",
        "Refusals, 429, 500, late, broken and missing answers, each alone and often: no duplicate, no silent "
        "loss, and no unknown left where the provider gives evidence.",
        "The provider reports every mail that it took (SendGrid).",
        "Events that are withheld for longer than the quarantine while those of the mails around arrive.",
        trouble.provider_trouble,
    ),
    Guarantee(
        "G6 Graceful stop",
        "SIGTERM ends a sender with exit code 0 after the hand-overs under way; nothing is left unknown.",
        "Answers come within the sender's time limits; a relay may take ten minutes after the final dot, and a "
        "supervisor that loses patience sends SIGKILL, which is G1.",
        "A second SIGTERM, which is G1 too.",
        stopping.graceful_stop,
    ),
    Guarantee(
        "G7 Restored or copied data does not send",
        "A copied home, a database in a new home, a backup put back, a clock that jumped: nothing is sent until "
        "an operator confirms, and then nobody gets a second mail.",
        "The home's marker and its journals of hand-overs are not put back together with the database.",
        "A snapshot of the whole machine, restored beside the running one. What was sent in the last 5 s before "
        "a backup that was made during a send.",
        restoring.restored_or_cloned,
    ),
    Guarantee(
        "G8 No acknowledged event is lost",
        "A webhook is answered with 2xx only when its body is on the disk. The web process is killed by SIGKILL at "
        "random while events come shuffled, two and a half times each, 1 % of them corrupt, 1 % of the posts "
        "unsigned or forged: in the end the database says what the distinct events say, each once.",
        "The provider repeats a post until it is acknowledged. The database keeps what it committed.",
        "An outage that is longer than the provider repeats (SendGrid: 24 hours; `pigeonry events pull` then fetches "
        "what stops people). A proxy in front that answers for us.",
        webhooks.no_event_is_lost,
    ),
    Guarantee(
        "G12 Database trouble",
        "While mail is sent and events come, another program holds SQLite's lock, the disk is full, PostgreSQL is "
        "started again or its connections are cut: senders wait or end with an error that says what to do, webhooks "
        "are taken late or answered 503 with Retry-After, no mail leaves without an intent on the disk, nothing is "
        "sent twice or lost, and the database stays whole.",
        "A locked database is waited for (30 s). Of a full disk and a lost server a sender ends with exit code 4: the "
        "same command again goes on, and the proof starts it again as a supervisor does. The web process goes on by "
        "itself.",
        "A disk or a server that says that it has stored what it has not. SMTP hand-overs whose outcome could be "
        "written neither to the database nor to the journal are parked for a person.",
        troubled_database.database_trouble,
    ),
    Guarantee(
        "G15 Erasure is real",
        "After `pigeonry leads erase` no byte of fifty values is found in any table, any file of the home or any log: "
        "not after late reports, clicks and replies, not after the same list was imported again, and a backup from "
        "before it is erased again before the first mail.",
        "Prefect runs on its own SQLite file. Values that another lead has too are nobody's alone and are not looked "
        "for elsewhere.",
        "Backups themselves until they expire; replicas and archived logs of PostgreSQL; what a provider keeps; a "
        "program that reads the SQLite file for minutes (the command then says that it has to be run again).",
        forgetting.erasure_is_real,
    ),
    Guarantee(
        "G16 Export is complete",
        "`pigeonry leads export` has rows of every table that the schema links to a person, every value that is "
        "stored, and nobody else's; the page for the person has every value too.",
        "What links a row to a person is a lead's number, a message's or the hash of an address; a test refuses a "
        "table that nobody placed.",
        "What was told to other systems and is not stored here.",
        exporting.export_is_complete,
    ),
    Guarantee(
        "G17 One click works and cannot be abused",
        "A POST as in RFC 8058 takes effect within 1 s, without cookie or redirect, also a second time, 61 days "
        "after the mail and after a new signing key; no other token is accepted, and nothing but that POST "
        "changes anything in the database.",
        "The keys in secrets/links-*.key stay where they are and secret.",
        "A key that is deleted instead of followed by the next one: links of its mails are dead. Whoever has the "
        "mail can press its button, also somebody it was forwarded to.",
        one_click.one_click,
    ),
    Guarantee(
        "G18 Links are no open redirects",
        "A tracked link leads to the target that its campaign's brief names or nowhere: mutated, cut, spliced, "
        "signed for another campaign, or with a stranger's host around it or in the request's headers.",
        "The brief's own target is one that the sender wants to lead to.",
        "A target that redirects further by itself.",
        redirecting.no_open_redirects,
    ),
    Guarantee(
        "G19 Bots do not count",
        "Of SIMULATED opens and clicks at least nine in ten of the machines' are told as such, and of what is called "
        "a machine's at least nine in ten are; no departure of a person is ignored, however odd their clicks, and no "
        "machine that follows the links of a mail puts anybody out.",
        "Scanners behave as vendors and postmasters describe; the list of data centres knows most of theirs.",
        "A scanner that takes its time, calls itself a browser, lives where people live and follows one link; one "
        "that sends the POST of RFC 8058.",
        bots.bots_do_not_count,
    ),
)


@dataclass(frozen=True, slots=True)
class Tried:
    guarantee: Guarantee
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def held(self) -> bool:
        return bool(self.outcomes) and all(outcome.held for outcome in self.outcomes)


def try_all(setting: Setting, clock: Callable[[], float]) -> Iterator[Tried]:
    """Every guarantee in turn; one that fails stops no other."""
    for guarantee in GUARANTEES:
        began = clock()
        outcomes = tuple(guarantee.run(setting))
        yield Tried(guarantee, outcomes, clock() - began)


def table(tried: list[Tried], setting: Setting, *, at: datetime) -> str:
    """The page `docs/guarantees.md`: what was promised, tried and found."""
    lines = [
        "# What Pigeonry guarantees, and the trial of each",
        "",
        (
            f"Written by `pigeonry prove --all --messages {setting.messages} --kills {setting.kills} "
            f"--seed {setting.seed}` of version {__version__} on {at:%Y-%m-%d}."
        ),
        (
            f"Machine: {machine()}. Everything ran over loopback on one machine; the far ends are sinks of our own "
            "that write each mail down before they answer, and what is counted is their log."
        ),
        (
            f"Time limits are scaled down, in their order: {Limits().shown()}. Provider mischief is drawn from the "
            "seed (`pigeonry/prove/mischief.py`). The live SendGrid was never tried."
        ),
    ]
    for one in tried:
        guarantee = one.guarantee
        lines += [
            "",
            f"## {guarantee.name}: {'held' if one.held else 'BROKEN'}",
            "",
            guarantee.promise,
            "",
            f"- Assumes: {guarantee.assumes}",
            f"- What breaks it: {guarantee.breaks}",
            "",
            "| trial | held | numbers |",
            "| --- | --- | --- |",
            *(
                f"| {outcome.trial} | {'yes' if outcome.held else 'NO'} | {outcome.words()} |"
                for outcome in one.outcomes
            ),
            "",
            f"{one.seconds:.0f} s.",
        ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Processor, cores and memory of this machine."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
