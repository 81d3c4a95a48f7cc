"""What Airflow shows of a task: its name in the grid, and its docs."""

from __future__ import annotations

from kedro_astro.planning.grouping import Task
from kedro_astro.planning.ui import display_name, task_doc
from kedro_astro.structure import Node

DOC = """Sum the sales.

Only those of *this* year.

Args:
    sales: one row each,
        in euros.
    rate: of exchange.

Returns:
    The sum."""


def task(task_id: str, *names: str, doc: str = "") -> Task:
    return Task(task_id, tuple(Node(name, (), (), doc=doc) for name in names), (), (), ())


def test_an_id_of_many_names_is_shown_short() -> None:
    names = ["ns.clean_all_orders", "ns.join_customers", "ns.sum_up_sales"]
    long = "ns.clean_all_orders__join_customers__sum_up_sales"
    assert display_name(task(long, *names)) == "ns.clean_all_orders and 2 more"
    for other in ("ns.a__b", "what-somebody-has-written-however-long-it-may-be"):
        assert display_name(task(other, "ns.a", "ns.b")) == other
    for name in names:
        assert f"`{name}`" in task_doc(task(long, *names), {})


def test_the_arguments_in_a_docstring_stay_a_list() -> None:
    shown = task_doc(task("a", "a", doc=DOC), {})
    assert "Args:\n- sales: one row each,\n        in euros.\n- rate: of exchange.\n" in shown
    assert "Sum the sales.\n\nOnly those of *this* year.\n" in shown
    shown = task_doc(task("a", "a", doc="Sum.\n\n:param x: one\n:param y: two"), {})
    assert shown.endswith("\n- :param x: one\n- :param y: two")
