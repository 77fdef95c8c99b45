#!/bin/sh
# What the sample page says: which Atoll version the machine runs, and for how long. Served by busybox httpd.
version=$(sed -n "s/^IMAGE_VERSION=//p" /host/os-release | tr -d "\"'")
name=${HOST_NAME:-this machine}
up=$(cut -d. -f1 /proc/uptime)

printf 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n'
cat <<END
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$name · Atoll</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem }
  h1 { font-weight: 600 } code { font-size: .95em }
  @media (prefers-color-scheme: dark) { body { background: #10181c; color: #dfe8ea } }
</style>
<h1>$name is up</h1>
<p>It runs Atoll <b>${version:-of an unknown version}</b>, for $up seconds so far.</p>
<p>This page comes from a container that systemd started from
<code>/etc/containers/systemd/sample-web.container</code>. Updates of the machine and their way back leave it alone:
update it with <code>atoll upgrade --reboot</code>, and load this page again.</p>
</html>
END
