"""`python -m topology.embedded`: run Kafka and Redis in the foreground until Ctrl-C (`make kafka`)."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from topology.embedded import EmbeddedError, Services, embedded_services

_CHECK_S = 1.0


def main() -> int:
    """Run both servers; the two lines on stdout can be pasted into another shell."""
    parser = argparse.ArgumentParser(prog="python -m topology.embedded", description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="keep data in this folder (default: a temporary one, removed at the end)",
    )
    parser.add_argument("--kafka-port", type=int, help="default: a free port")
    parser.add_argument("--redis-port", type=int, help="default: a free port")
    parser.add_argument("--heap-mb", type=int, default=512, help="largest heap of Kafka's JVM (default: 512)")
    asked = parser.parse_args()

    # Ctrl-C raises KeyboardInterrupt already; a SIGTERM must stop the servers in good order likewise.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = 0
    try:
        with embedded_services(
            asked.data_dir,
            keep=asked.data_dir is not None,
            heap_mb=asked.heap_mb,
            kafka_port=asked.kafka_port,
            redis_port=asked.redis_port,
        ) as services:
            _stay(services)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        code = 1
    return code


def _stay(services: Services) -> None:
    """Tell where the servers are, and watch them; comes back only by an exception."""
    sys.stdout.write(f"export RECOURSE_KAFKA={services.kafka_bootstrap}\n")
    sys.stdout.write(f"export RECOURSE_REDIS={services.redis_url}\n")
    sys.stdout.flush()
    sys.stderr.write("running; Ctrl-C stops both\n")
    never = threading.Event()
    while not never.wait(_CHECK_S):
        services.check()


if __name__ == "__main__":
    raise SystemExit(main())
