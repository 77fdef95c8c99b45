#!/bin/sh
echo "this version is broken on purpose (examples/broken.yaml)"
exit 1
