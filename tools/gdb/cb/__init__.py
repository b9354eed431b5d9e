# SPDX-License-Identifier: MIT
"""The parts of the `cb` commands; ../cinnabar.py loads them."""
