import pytest

from tidegate.stores.memory import MemoryObjects, MemoryTable
from tidegate.stores.ports import Objects, Table
from tidegate.testing.objects import ObjectsConformance
from tidegate.testing.table import TableConformance


class TestMemoryObjects(ObjectsConformance):
    @pytest.fixture
    def objects(self) -> Objects:
        return MemoryObjects()


class TestMemoryTable(TableConformance):
    @pytest.fixture
    def table(self) -> Table:
        return MemoryTable()
