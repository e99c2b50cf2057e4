"""Rulebooks to test reviews under: the packaged one, a bare one, one with everything at once, one that grants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from processors.rulebook import Rulebook
from topology.rulebook_file import PACKAGED

_REVIEWERS = [f"r-{n}" for n in range(1, 7)]
_WEEK = {day: ["09:00-12:00", "13:00-17:30"] for day in ("mon", "tue", "wed", "thu", "fri")}

_STRICT: dict[str, Any] = {
    "name": "strict",
    "review": {
        "lease": "20min",
        "deadline": "20d",
        "warn_at": 0.6,
        "lead_pod": "lead",
        "evidence_time": "2d",
        "pause_cap": "3d",
        "returns": 1,
        "remand_time": "6d",
    },
    # A flag alone lifts no case: it may even be ranked lower, as the user's standing has fallen.
    "vulnerability": {"child_safety": 0.5},
    "evidence": [
        {
            "name": "identity",
            "when": {"policies": ["impersonation"]},
            "needs": [
                {
                    "kinds": ["identity_document", "licence"],
                    "supplier": "appellant",
                    "outcomes": ["upheld", "overturned"],
                    "ask": True,
                },
                {"kinds": ["screenshot", "model_signal"], "supplier": "enforcement"},
            ],
        },
        {
            "name": "two of a kind",
            "when": {"actions": ["payout_hold", "fee"]},
            "needs": [{"kinds": ["transaction_record", "transcript"], "at_least": 2, "outcomes": ["upheld"]}],
        },
        {
            "name": "orders",
            "when": {"flags": ["legal_order"]},
            "needs": [{"kinds": ["court_order"], "outcomes": ["upheld", "upheld_ground_changed", "dismissed"]}],
        },
        {
            "name": "anything",
            "needs": [{"kinds": ["screenshot", "video", "other"], "outcomes": ["upheld"]}],
        },
    ],
    "second_review": {
        "severity_at_least": 0.8,
        "amount_at_least": 40,
        "against_prior": {"overturn_below": 0.3, "uphold_above": 0.6},
        "high_profile": {"reach_at_least": 100_000, "tiers": ["top_seller"]},
        "flags": ["legal_order"],
        "new_reviewers": {"r-5": "2026-06-01"},
        "share": 0.5,
        "blind_share": 0.3,
    },
    "automation": [
        {
            "name": "labels",
            "when": {"actions": ["content_label"]},
            "do": "grant",
            "daily_cap": 200,
            "audit_share": 0.4,
        },
        {"name": "never today", "when": {"policies": ["spam"]}, "do": "grant", "daily_cap": 0},
        {"name": "minors", "when": {"flags": ["minor"]}, "do": "route", "pod": "accounts"},
    ],
    "pods": [
        {"name": "general", "reviewers": _REVIEWERS[:5], "hours": {"zone": "Europe/Berlin", "week": _WEEK}},
        {"name": "payments", "languages": ["en"], "substitute": "general", "reviewers": ["r-1", "r-2"]},
        {"name": "accounts"},
        {"name": "child-safety"},
        {"name": "legal", "reviewers": ["r-1"]},
        {"name": "lead", "reviewers": [*_REVIEWERS[2:], "r-7", "r-8"]},
    ],
    "routing": [
        {"name": "money", "when": {"actions": ["payout_hold", "fee"]}, "pod": "payments"},
        {"name": "accounts", "when": {"actions": ["suspension", "ban"]}, "pod": "accounts"},
        {"name": "rest", "pod": "general"},
    ],
}

_BARE: dict[str, Any] = {
    "name": "bare",
    "review": {"lease": "30min", "deadline": "28d"},
    "evidence": [],
    "second_review": None,
    "automation": [],
}

_GRANTING: dict[str, Any] = {
    "name": "granting",
    "automation": [
        {
            "name": "all but the hardest",
            "when": {"actions": ["warning", "content_removal", "content_label", "fee"]},
            "do": "grant",
            "daily_cap": 5,
            "audit_share": 0.3,
        },
        {"name": "spent", "when": {"actions": ["suspension"]}, "do": "grant", "daily_cap": 0},
    ],
    "second_review": {"share": 0.3, "blind_share": 0.2},
}

CHANGES: dict[str, dict[str, Any]] = {"strict": _STRICT, "packaged": {}, "bare": _BARE, "granting": _GRANTING}


@cache
def sections(name: str) -> Mapping[str, Any]:
    """The rulebook of this name in plain values, as a checker may read it."""
    return {**yaml.safe_load(PACKAGED.read_text(encoding="utf-8")), **CHANGES[name]}


@cache
def rulebook(name: str) -> Rulebook:
    """The same as the application takes it."""
    return Rulebook.model_validate(sections(name))
