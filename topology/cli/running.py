"""`run` and `demo`: verbs that process appeals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured


def run(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes on this host.")] = 1,
    slot: Annotated[str | None, typer.Option(help="Stable name of this worker; its own for each.")] = None,
    supervised_by: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Process appeals until SIGTERM or Ctrl-C, which finish the batch and leave the group cleanly.

    Exit codes: 0 stopped as asked; 1 a defect; 2 misconfigured; 3 too many dead letters; 4 slot taken.
    """
    from topology import supervisor, worker  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    settings = settings_or_exit(slot=slot)
    code = (
        worker.run(settings, parent=supervised_by) if workers == 1 else supervisor.Supervisor(settings, workers).run()
    )
    raise typer.Exit(code)


def insights(
    slot: Annotated[str | None, typer.Option(help="Stable name of this process; its own for each.")] = None,
) -> None:
    """Learn from the audit: overturn rates, pod load, misfires, quality; until SIGTERM or Ctrl-C.

    Start as many as you like, up to the number of partitions of the inputs. Exit codes: 0 stopped as asked; 1 a
    defect; 2 misconfigured.
    """
    settings = settings_or_exit(slot=slot)
    try:
        from topology.insights.run import run as live  # noqa: PLC0415 - `--help` must not wait for Faust
    except ModuleNotFoundError as exc:
        raise Misconfigured(f"{exc.name} is not installed: pip install 'recourse[insights]'") from exc
    raise typer.Exit(live(settings))


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long traffic is fed.")] = 60,
    rate: Annotated[
        float, typer.Option(min=10, max=5_000, help="Records a second that enforcement and users send.")
    ] = 400,
    appeal_share: Annotated[
        float, typer.Option(min=0.1, max=20, help="Appeals as a multiple of the published rate.")
    ] = 3,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Worker processes.")] = 2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic.")] = 1,
    data_dir: Annotated[Path | None, typer.Option(help="Where data and logs lie; they are kept.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs of a temporary folder.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a screen.")] = False,
    metrics_port: Annotated[
        int,
        typer.Option(min=0, max=65_000, help="Prometheus endpoint of the first worker, each other process one up."),
    ] = 0,
    desk: Annotated[bool, typer.Option(help="Start the desk too, if it is installed.")] = True,
) -> None:
    """Show the whole loop live, with simulated users, systems and specialists, and balance it at the end.

    Starts a Kafka and a Redis of its own, unless RECOURSE_KAFKA and RECOURSE_REDIS name some. Ctrl-C stops early and
    still prints the balance. Exit codes: 0 the balance is even; 1 it is not, or a worker died; 2 misconfigured.
    """
    from topology.demo.run import Options, run  # noqa: PLC0415

    options = Options(
        seconds=seconds,
        rate=rate,
        appeal_times=appeal_share,
        workers=workers,
        seed=seed,
        data_dir=data_dir,
        keep=keep,
        plain=plain,
        metrics_port=metrics_port,
        desk=desk,
    )
    raise typer.Exit(run(options, console))
