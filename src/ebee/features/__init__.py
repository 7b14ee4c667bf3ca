"""What the running kernel can do, found by trying; never by its version.

Every probe has three answers, each with its reason, and leaves nothing behind.
"""

from ebee.features.abilities import ability
from ebee.features.answer import Answer, Status
from ebee.features.probes import Probes

__all__ = ["Answer", "Probes", "Status", "ability"]
