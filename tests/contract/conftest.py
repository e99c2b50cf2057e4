"""Generated tests judge results, not the speed of the machine they run on."""

from hypothesis import settings

settings.register_profile("contract", deadline=None, print_blob=True)
settings.load_profile("contract")
