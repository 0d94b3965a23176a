"""A governed gateway whose log goes on in a new shard while calls run, witnessed and stamped on both sides of the border."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import open_note
from tests.authority import make
from tests.authority import serving as serving_authority
from tests.e2e.test_vouched_log import WitnessProcess, ask, magistrate, until, vouched
from tests.e2e.upstream import ScriptedUpstream


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A1", "A2", "A7")
def test_a_log_is_rotated_under_load_and_vouched_for_on_both_sides(
    tmp_path: Path, tool: str, scripted: ScriptedUpstream
) -> None:
    """Told the next key beforehand, witnesses cosign the old shard's end and the new shard; no call is lost or refused."""
    authority = make(tmp_path / "tsa", tool)
    witnesses = [WitnessProcess(tmp_path / name, f"witness.example/{name}") for name in ("w0", "w1")]
    try:
        with (
            serving_authority(authority) as url,
            vouched(tmp_path, scripted, witnesses, (url, authority.ca)) as governed,
        ):
            root = governed.data_dir / "evidence"
            first = (root / "log.vkey").read_text().strip()
            _, following = magistrate(
                "evidence", "rotate", "--prepare", "--config", governed.config, cwd=tmp_path
            )
            for witness in witnesses:
                witness.start(first, following.strip())
            with ThreadPoolExecutor(4) as pool:
                calls = [pool.submit(ask, governed) for _ in range(60)]
                status, said = magistrate(
                    "evidence", "rotate", "--config", governed.config, "--json", cwd=tmp_path
                )
                assert status == 0, said
                records = [call.result(timeout=60) for call in calls]
            facts = json.loads(said)["facts"]
            assert facts["vkey"] == following.strip() == (root / "log.vkey").read_text().strip()
            closed = root / "shards" / "1"
            end = parse(open_note((closed / "checkpoint").read_bytes())[0]).size
            assert facts["records"] == end
            until((closed / "cosig" / str(end)).exists)
            until((closed / "receipts" / f"{end}.tsr").exists)
            until((root / "cosig" / "latest").exists)
            until(lambda: list((root / "receipts").glob("*.tsr")))
            assert not list((root / "cosig").glob(f"{end}")), "nothing of the old shard is left here"
            policy = closed / "policy.txt"
            for key in (first, following.strip()):
                status, said = magistrate(
                    *("evidence", "verify", "--config", governed.config, "--vkey", key),
                    *("--policy", policy, "--tsa-ca", authority.ca),
                    cwd=tmp_path,
                )
                assert status == 0, said
                assert "cosigned by witness.example/w0, witness.example/w1" in said
            for record in {records[0], records[-1]}:
                bundle = tmp_path / f"{record}.zip"
                magistrate(
                    "evidence", "export", record, "-o", bundle, "--config", governed.config, cwd=tmp_path
                )
                status, said = magistrate("evidence", "verify-bundle", bundle, "--vkey", first, cwd=tmp_path)
                assert status == 0, said
        status, said = magistrate("evidence", "verify", "--config", governed.config, cwd=tmp_path)
        assert status == 0, said
        assert len(set(records)) == 60
    finally:
        for witness in witnesses:
            witness.kill()
