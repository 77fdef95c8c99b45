#!/bin/sh
# First process of the sample container: a shell that ends at once when it is told to, with httpd under it.
trap 'exit 0' TERM INT
httpd -f -p 8080 -h /srv/www &
wait
