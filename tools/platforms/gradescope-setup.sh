#!/bin/bash
# SPDX-License-Identifier: MIT
# Gradescope runs this once, when it makes the autograder's image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends make ca-certificates
cd "${AUTOGRADER:-/autograder}/source/tree"
tools/setup grade
make all build/grader
