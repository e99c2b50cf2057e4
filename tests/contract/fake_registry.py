"""A schema registry in memory that counts how often it is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from schemas import ALL_RECORDS, RegistryUnavailableError, SchemaNotFoundError
from schemas.catalog import current, full_name, wire_form
from schemas.registry import subject


@dataclass
class FakeRegistry:
    schemas: dict[int, str] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    questions: list[object] = field(default_factory=list)
    down: bool = False

    @classmethod
    def with_all(cls, topic: str) -> FakeRegistry:
        registry = cls()
        for each in ALL_RECORDS:
            registry.add(subject(topic, full_name(each)), json.dumps(wire_form(current(each))))
        return registry

    def add(self, subject: str, schema: str) -> int:
        schema_id = len(self.schemas) + 1
        self.schemas[schema_id] = schema
        self.ids[subject, schema] = schema_id
        return schema_id

    def schema_by_id(self, schema_id: int) -> str:
        self._ask(schema_id)
        if schema_id not in self.schemas:
            raise SchemaNotFoundError(f"schema id {schema_id}: not in the registry")
        return self.schemas[schema_id]

    def id_for(self, subject: str, schema: str) -> int:
        self._ask(subject)
        if (subject, schema) not in self.ids:
            raise SchemaNotFoundError(f"{subject}: not in the registry")
        return self.ids[subject, schema]

    def _ask(self, question: object) -> None:
        self.questions.append(question)
        if self.down:
            raise RegistryUnavailableError("no answer")
