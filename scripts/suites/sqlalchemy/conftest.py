# SQLAlchemy ships the suite that every dialect has to pass; here it is sqlite's turn.
import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402,F403
