"""The four conformance tests that a plug-in calls; each raises `AssertionError` with one line that says what is wrong.

from cgbench.benchmarks.testing.conformance import check_method

def test_my_method():
    check_method(my_method)
"""

from cgbench.benchmarks.testing.dataset_checks import check_dataset
from cgbench.benchmarks.testing.failure_checks import check_failure
from cgbench.benchmarks.testing.method_checks import check_method
from cgbench.benchmarks.testing.metric_checks import check_metric

__all__ = ["check_dataset", "check_failure", "check_method", "check_metric"]
