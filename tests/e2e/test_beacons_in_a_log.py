"""A governed gateway whose log holds a beacon's values: what an auditor learns of time from them, and what an outage changes."""

import json
from pathlib import Path

import pytest

from tests.authority import make
from tests.authority import serving as serving_authority
from tests.beacons import Network
from tests.beacons import serving as serving_beacon
from tests.e2e.gateway import serving
from tests.e2e.test_vouched_log import ask, magistrate, until
from tests.e2e.upstream import ScriptedUpstream


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A2", "A7")
def test_calls_stand_between_a_beacon_and_a_time_stamp_and_an_outage_stops_none(
    tmp_path: Path, tool: str, scripted: ScriptedUpstream
) -> None:
    """With the beacon's key and the authority's certificate alone: not before, not after, of a whole log and of one call."""
    network, authority = Network(), make(tmp_path / "tsa", tool)
    (tmp_path / "source.json").write_text(json.dumps(network.info))
    with serving_beacon(network) as beacon, serving_authority(authority) as stamps:
        extra = (
            f"evidence:\n  beacon_every_s: 1\n  beacon: [{{url: '{beacon.url}', source: '{tmp_path}/source.json'}}]\n"
            f"  timestamp: [{{url: '{stamps}', ca: '{authority.ca}'}}]\n"
        )
        with serving(tmp_path, scripted, extra) as governed:
            at = ("--config", governed.config)

            def drawn() -> int:
                _, said = magistrate("evidence", "verify", *at, "--json", cwd=tmp_path)
                return int(json.loads(said)["beacons"])

            until(lambda: drawn() >= 2)
            record = ask(governed)
            status, said = magistrate("evidence", "rotate", *at, cwd=tmp_path)
            assert status == 0, said
            beacon.down = True
            records = [ask(governed) for _ in range(3)]
            until(lambda: "503" in magistrate("doctor", *at, cwd=tmp_path)[1])
            beacon.down = False
            until(lambda: "503" not in magistrate("doctor", *at, cwd=tmp_path)[1])
            until(lambda: drawn() >= 4)
            records.append(ask(governed))
            assert len({record, *records}) == 5
        status, said = magistrate("evidence", "verify", *at, "--json", cwd=tmp_path)
        report = json.loads(said)
        assert (status, report["verdict"]) == (0, "valid"), report
        both = [one for one in report["stretches"] if one["begins_by"] and one["ends_by"]]
        assert both
        assert all(one["not_before_us"] <= one["not_after_us"] for one in both)
        assert {one["place"] for one in report["stretches"]} == {"shard 1", ""}
        status, said = magistrate("evidence", "verify", *at, cwd=tmp_path)
        assert "not before" in said
        assert "(testnet), not after" in said
        for one in (record, records[-1]):
            bundle = tmp_path / f"{one}.zip"
            magistrate("evidence", "export", one, "-o", bundle, *at, cwd=tmp_path)
            key = (governed.data_dir / "evidence" / "log.vkey").read_text().strip()
            trusted = ("--vkey", key, "--beacon", tmp_path / "source.json")
            status, said = magistrate("evidence", "verify-bundle", bundle, *trusted, cwd=tmp_path)
            assert status == 0, said
            assert "remark, beacon.json: not before" in said
            status, said = magistrate("evidence", "verify-bundle", bundle, "--vkey", key, cwd=tmp_path)
            assert (status, "beacon.json: was not checked" in said) == (0, True)
