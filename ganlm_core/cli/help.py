"""``ganlm help``: the help of a command."""

import click
from click.shell_completion import CompletionItem


class CommandName(click.ParamType):
    """A command or, after the name of a group, one of its commands; the shell completes it."""

    name = "command"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        command: click.Command | None = ctx.find_root().command
        for word in ctx.params["command"] or ():
            command = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        names = command.list_commands(ctx) if isinstance(command, click.Group) else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("help")
@click.argument("command", nargs=-1, metavar="[COMMAND]...", type=CommandName())
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of a command, such as 'ganlm help run' or 'ganlm help weights verify', or of ganlm."""
    root = context.find_root()
    root.command.main([*command, "--help"], prog_name="ganlm", standalone_mode=False, obj=context.obj)
