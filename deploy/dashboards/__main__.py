"""`python -m deploy.dashboards` (`make dashboards`): write the dashboards' JSON."""

from deploy.dashboards.build import FOLDER, files


def main() -> None:
    """Write all; what is no dashboard any more goes."""
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for old in FOLDER.glob("*.json"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
