# SPDX-License-Identifier: MIT
"""The modules of the `cb` commands; ../cinnabar.py loads them."""
