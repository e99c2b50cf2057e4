"""A commit whose answer is lost, with the real client: what it says of it must not be believed (docs/complaints.md)."""

from __future__ import annotations

import pytest

from tests.faults.proxy import HOST, Proxies
from tests.faults.rig import broker_behind
from tests.faults.slow_disk import SlowDisk
from tests.faults.wire import Api
from tests.integration.test_engine_real import World


@pytest.mark.rule(5)
def test_a_commit_whose_answer_never_comes_is_settled_by_a_new_producer_on_the_real_client(tmp_path, redis_url, app_id):
    with Proxies() as proxies, SlowDisk(tmp_path / "disk") as disk:
        proxy = proxies.open(kafka=True)
        with broker_behind([proxy], tmp_path / "kafka", disk) as broker:
            world = World(broker.bootstrap, redis_url, app_id)
            world.args = (f"{HOST}:{proxy.port}", *world.args[1:])
            world.send(2_000)
            with world.running("0", commit_s=5.0) as running:
                world.wait_for(500)
                proxy.swallow[Api.END_TXN] += 1
                world.send(1_000)  # so that there is another commit, however fast the first ones were
                world.wait_until(lambda: proxy.swallowed[Api.END_TXN])
                world.wait_for(3_000)
                counts = running.counts
                assert counts["transactions_unknown_total"] >= 1, (
                    "the client called it retriable until the budget ended"
                )
                assert counts["producer_renewals_total"] >= 2, "one at the start, one to settle it"
            world.check()
            world.close()
