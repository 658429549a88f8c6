"""Run in the environment of slapos.core: moves a built release as `slapos node software` does.

`slapos_binary.py download|upload CONFIG SOFTWARE_URL SOFTWARE_ROOT ARCHIVE`: the archive is the
file to write or to read. Exits with 1 when slapos.core says that it did not work.
"""

import configparser
import hashlib
import logging
import sys

from slapos.grid import networkcache

action, config_file, software_url, software_root, archive = sys.argv[1:]
logging.basicConfig(level=logging.INFO)
config = configparser.ConfigParser()
config.read(config_file)
section = config["networkcache"]
key = hashlib.md5(software_url.encode()).hexdigest()
if action == "download":
    worked = networkcache.download_network_cached(
        section["download-binary-cache-url"], section["download-binary-dir-url"], software_url,
        software_root, key, archive, logging.getLogger(), section["signature-certificate-list"], [],
    )
else:
    worked = networkcache.upload_network_cached(
        software_root, software_url, key, section["upload-binary-cache-url"],
        section["upload-binary-dir-url"], archive, logging.getLogger(),
        section["signature-private-key-file"], section["signature-certificate-list"],
        None, None, None, None, None, None,
    )
sys.exit(not worked)
