"""Hold law as data: the shape of a tier, the library, and what can be asked of a policy."""

from medfloor.policy.load import PolicySet, list_policies, load_policy
from medfloor.policy.model import Policy
from medfloor.policy.resolve import Facts, Rules, Step, resolve

__all__ = ["Facts", "Policy", "PolicySet", "Rules", "Step", "list_policies", "load_policy", "resolve"]
