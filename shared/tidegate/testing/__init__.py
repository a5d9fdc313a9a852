"""What users test their pipelines with. Everything else in here tests Tidegate itself."""

from tidegate.testing.test_stream import Pane, Panes, TestStream, Window

__all__ = ["Pane", "Panes", "TestStream", "Window"]
