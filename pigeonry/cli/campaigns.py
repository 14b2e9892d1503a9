"""`pigeonry campaign ...`: forecast, run, list, show, edit, approve, send back,
pause, resume, cancel, report."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pigeonry.cli.common import Output, command_body
from pigeonry.domain.clock import utc_now

if TYPE_CHECKING:
    from pigeonry.service.campaigns import CampaignView


@click.group()
def campaign() -> None:
    """Run, watch, approve, pause and report campaigns."""


@campaign.command()
@click.argument("brief", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--send", is_flag=True, help="Send what is approved; without it, write only.")
@click.option("--approve", is_flag=True, help="Approve the variants as they are written.")
@click.option("--by", default="command line", show_default=True, help="Who approves.")
@click.option("--occurrence", default="", help="Name of this run of a repeated brief.")
@click.option("--until", default="", help="Stop after this stage.")
@command_body
def run(
    output: Output,
    brief: Path,
    send: bool,
    approve: bool,
    by: str,
    occurrence: str,
    until: str,
) -> int:
    """Run the campaign of BRIEF (a TOML file) as far as it may go.

    The same brief and occurrence is the same campaign: running it again goes on where it stopped and
    never writes to anybody twice.
    """
    from pigeonry.errors import BadInput, Refused
    from pigeonry.service import campaigns

    try:
        text = brief.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput("no such file", where=str(brief), fix="give the path of a brief") from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"not UTF-8 text: {error}", where=str(brief), fix="save it as UTF-8"
        ) from error
    home, db = output.open()
    stop = _stop_on_signal()
    number = campaigns.create_campaign(
        db, home, text, where=str(brief), occurrence=occurrence, now=utc_now()
    )
    before = campaigns.view(db, number)
    if before.stage == campaigns.END:
        output.say(
            f"campaign {number} was done before: nobody is written to twice\n"
            "  -> give this run a name of its own with --occurrence to send it again"
        )
    result = campaigns.run_campaign(
        db,
        home,
        number,
        until=until,
        progress=output.progress,
        approve_as=by if approve else "",
        send=send,
        stop=stop,
    )
    after = campaigns.view(db, number)
    _print(output, after)
    output.result(_json(after))
    if send and result.next == "approve" and result.state == "waiting":
        raise Refused(
            "the variants are written and wait for approval; nothing was sent",
            where=f"campaign {number}",
            fix=f"`pigeonry campaign approve {number}`, then the same command again (or --approve)",
        )
    return 1 if after.failed or after.parked else 0


def _stop_on_signal() -> threading.Event:
    """SIGTERM and the first Ctrl-C finish what is in flight and stop; the second Ctrl-C kills."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop


@campaign.command("list")
@command_body
def list_(output: Output) -> None:
    """Every campaign, newest first."""
    from pigeonry.store import campaigns as store

    _, db = output.open()
    with db.read() as session:
        rows = store.every(session)
    for row in rows:
        output.say(f"{row.id:>4}  {row.state:<10} {row.stage:<12} {row.name} {row.occurrence}")
    output.result(
        {
            "campaigns": [
                {
                    "campaign": row.id,
                    "name": row.name,
                    "occurrence": row.occurrence,
                    "stage": row.stage,
                    "state": row.state,
                }
                for row in rows
            ]
        }
    )


@campaign.command()
@click.argument("number", type=int)
@command_body
def show(output: Output, number: int) -> None:
    """Where a campaign stands."""
    from pigeonry.service import campaigns

    _, db = output.open()
    found = campaigns.view(db, number)
    _print(output, found, texts=True)
    output.result(_json(found))


@campaign.command()
@click.argument("number", type=int)
@click.option("--by", default="command line", show_default=True, help="Who approves.")
@command_body
def approve(output: Output, number: int, by: str) -> None:
    """Approve a campaign's variants as they are."""
    from pigeonry.service import campaigns

    _, db = output.open()
    campaigns.approve(db, number, by=by, now=utc_now())
    output.say(f"campaign {number} is approved by {by}")
    output.result({"campaign": number, "approved_by": by})


@campaign.command()
@click.argument("variant", type=int)
@click.option("--subject", help="New subject.")
@click.option("--preheader", help="New preview line.")
@click.option("--hook", help="New first sentence.")
@click.option("--body", help="New body; an empty line parts paragraphs.")
@click.option("--cta", help="New words of the button.")
@click.option("--by", default="command line", show_default=True, help="Who edits.")
@command_body
def edit(output: Output, variant: int, by: str, **slots: str | None) -> None:
    """Put your words into VARIANT (its number stands in `campaign show`), when every check passes."""
    from pigeonry.errors import Refused
    from pigeonry.service import studio_variants

    wanted = {name: text for name, text in slots.items() if text is not None}
    if not wanted:
        raise click.UsageError("say what to change, e.g. --subject TEXT")
    _, db = output.open()
    stamp = studio_variants.stamp(db, variant)
    done = studio_variants.edit(db, variant, wanted, stamp=stamp, by=by, now=utc_now())
    if not done.stored:
        raise Refused(
            "; ".join(f"{v.check}: {v.field or 'mail'}: {v.detail}" for v in done.violations),
            where=f"variant {variant}",
            fix="change these words; nothing was stored",
        )
    output.say(f"variant {variant} is written by {by}" if done.changed else "nothing was changed")
    output.result({"variant": variant, "changed": done.changed, "tier": done.variant.tier})


@campaign.command("send-back")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="What should change.")
@click.option("--by", default="command line", show_default=True, help="Who sends them back.")
@command_body
def send_back(output: Output, number: int, reason: str, by: str) -> None:
    """Send a campaign's variants back; an approval on which nothing was done yet is taken back."""
    from pigeonry.service.studio_variants import send_back as service

    _, db = output.open()
    service(db, number, reason=reason, by=by, now=utc_now())
    output.say(f"campaign {number} waits for approval again")
    output.result({"campaign": number, "sent_back_by": by, "reason": reason})


@campaign.command()
@click.argument("brief", type=click.Path(path_type=Path, dir_okay=False))
@command_body
def forecast(output: Output, brief: Path) -> None:
    """Whom BRIEF reaches, what its texts may cost, what its test can show, and how long it takes.

    Writes and sends nothing.
    """
    from generation.brief import read_brief
    from pigeonry.service import studio_forecast

    home, db = output.open()
    found = studio_forecast.forecast(db, home, read_brief(brief), now=utc_now())
    people, cost, test, length = found.audience, found.cost, found.test, found.duration
    output.say(
        f"{people.reach.mailable:,} of {people.reach.total:,} leads may be mailed "
        f"({people.reach.no_consent:,} without consent, {people.reach.suppressed:,} suppressed, "
        f"{people.reach.elsewhere:,} elsewhere)\n"
        f"  held out {people.held_out:,}  test wave {people.test:,}  rest {people.rest:,}\n"
        f"  {cost.texts} texts, at most {cost.upper / 1e6:.6f} {cost.currency}, "
        f"expected {cost.expected / 1e6:.6f}"
    )
    if test is not None:
        output.say(
            f"  at a click rate of {test.rate:.1%}{' (assumed)' if test.assumed else ''} the end shows a lift "
            f"from {test.end.lift * 100:.2f} points on; a lift of {studio_forecast.WANTED:.0%} needs "
            f"{test.needed:,} people"
        )
    output.say(f"  about {length.total / 3600:.1f} hours ({', '.join(length.because)})")
    output.result(
        {
            "mailable": people.reach.mailable,
            "leads": people.reach.total,
            "no_consent": people.reach.no_consent,
            "suppressed": people.reach.suppressed,
            "elsewhere": people.reach.elsewhere,
            "held_out": people.held_out,
            "test": people.test,
            "rest": people.rest,
            "texts": cost.texts,
            "cost_upper": cost.upper / 1e6,
            "cost_expected": cost.expected / 1e6,
            "currency": cost.currency,
            "rate": test.rate if test else None,
            "rate_assumed": test.assumed if test else None,
            "lift_test": test.wave.lift if test else None,
            "lift_end": test.end.lift if test else None,
            "people_needed": test.needed if test else None,
            "seconds": length.total,
        }
    )


def _state_command(name: str, help_text: str) -> None:
    @campaign.command(name, help=help_text)
    @click.argument("number", type=int)
    @command_body
    def change(output: Output, number: int) -> None:
        from pigeonry.service import campaigns

        _, db = output.open()
        state = getattr(campaigns, name)(db, number)
        output.say(f"campaign {number} is {state}")
        output.result({"campaign": number, "state": state})


_state_command("pause", "Stop hand-overs within a second; nothing is lost.")
_state_command("resume", "Let a paused campaign go on at its next run.")
_state_command("cancel", "Cancel for good what has not left yet.")


@campaign.command()
@click.argument("number", type=int)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report page to this file as well.",
)
@command_body
def report(output: Output, number: int, html: Path | None) -> None:
    """What a campaign earned: arms with intervals, guardrails, and what may be claimed."""
    from pigeonry.service.homes import simulated
    from pigeonry.service.results_kept import results_now

    home, db = output.open()
    label = simulated(home)
    if label:
        output.say(label)
    results = results_now(db, home, number, now=utc_now())
    for line in results.lines():
        output.say(line)
    if html is not None:
        from pigeonry.service.reports import write_report

        write_report(db, home, [number], html, now=utc_now(), simulated=label)
        output.say(f"report  {html}")
    output.result({**results.to_json(), "simulated": bool(label)})


def _print(output: Output, found: CampaignView, *, texts: bool = False) -> None:
    output.say(f"campaign {found.campaign}  {found.name}  [{found.state}, next: {found.stage}]")
    output.say(
        f"  planned {found.planned:,}  held out {found.held_out:,}  sent {found.sent:,}  "
        f"failed {found.failed:,}  cancelled {found.cancelled:,}  parked {found.parked:,}  "
        f"waiting {found.waiting:,}"
    )
    output.say(
        f"  {len(found.variants)} variants, {found.calls} model calls, {found.cache_hits} cache hits, "
        f"{found.cost_micros / 1e6:.6f} {found.currency}"
    )
    if found.wait_until and found.state == "waiting" and found.stage == "ripen":
        output.say(f"  the test wave ripens until {found.wait_until:%Y-%m-%d %H:%M} UTC")
    for stage, note in found.notes.items():
        if note.get("note"):
            output.say(f"  {stage}: {note['note']}")
    for item in found.variants if texts else ():
        output.say(
            f"  {item.arm} {item.language} segment {item.segment_id}  [{item.tier}]  variant {item.id}"
        )
        output.say(f"      {item.copy.subject}")


def _json(found: CampaignView) -> dict[str, Any]:
    return {
        "campaign": found.campaign,
        "name": found.name,
        "stage": found.stage,
        "state": found.state,
        "planned": found.planned,
        "held_out": found.held_out,
        "sent": found.sent,
        "failed": found.failed,
        "cancelled": found.cancelled,
        "parked": found.parked,
        "waiting": found.waiting,
        "variants": found.variants,
        "cost": found.cost_micros / 1e6,
        "currency": found.currency,
        "calls": found.calls,
        "cache_hits": found.cache_hits,
        "notes": found.notes,
    }
