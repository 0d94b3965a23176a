"""``magistrate evidence index``: old records leave the hot index for the cold one, and damaged files are written anew."""

import sqlite3
import sys
from contextlib import closing
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from magistrate.adapters.recorder.compaction import RECORDS_IN_A_RANGE, Compacted, Compaction, days_ago_us
from magistrate.adapters.recorder.shelf import mend_indexes
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.places import open_log, open_shelf
from magistrate.evidence.tiles import Missing
from magistrate.exchange.errors import ConfigurationError


def index(
    older_than: Annotated[
        int, typer.Option(min=0, max=36_500, help="Days for which records stay in the hot index.")
    ] = 90,
    range_size: Annotated[
        int, typer.Option(min=256, help="Records that move together into one file; a multiple of 256.")
    ] = RECORDS_IN_A_RANGE,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Write every file of the cold index anew from the log.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Move old records to the cold index (Parquet), and repair it. Run it daily, while `magistrate serve` runs or not.

    Searches look in both. Neither is trusted: what they find is read, and proved, from the log.
    """
    settings = configuration(config, data)
    progress = Console(stderr=True)

    def told(text: str) -> None:
        if not json:
            progress.print(text, style="dim")

    runs = []
    try:
        with closing(open_shelf(settings)) as shelf:
            mend_indexes(shelf)
        with closing(open_log(settings)) as archive:
            for reader in archive.shards.values():
                compaction = Compaction(reader.root, reader.size, storage=reader.storage)
                run = compaction.run(days_ago_us(older_than), records=range_size, rebuild=rebuild, told=told)
                runs.append(run)
    except (OSError, sqlite3.Error, Missing) as error:
        raise ConfigurationError(
            f"the index could not be written: {error}", str(settings.evidence_dir)
        ) from None
    done = Compacted(*(sum(values) for values in zip(*map(msgspec.structs.astuple, runs), strict=True)))
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        return
    print(f"{done.moved} records moved, {done.rewritten} ranges written again from the log")
    print(f"hot: {done.hot} records; cold: {done.cold} in {done.ranges} ranges, {done.cold_bytes} bytes")
    if not done.moved:
        print(f"a range moves when all of its {range_size} records are older than {older_than} days")
