"""Running trials: plan, lock, runner, worker pool, re-evaluation, extension."""
