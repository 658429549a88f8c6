"""Lets release 0.20 of the Python client run on today's Python, by putting back names it uses.

Python 3.9 removed `base64.encodestring` and `decodestring`, 3.12 `SafeConfigParser`; each had long
been another name for what is still there. Importing this before the client is all it takes.
"""

import base64
import configparser

if not hasattr(base64, "encodestring"):
    base64.encodestring = base64.encodebytes
    base64.decodestring = base64.decodebytes
if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
if not hasattr(configparser.ConfigParser, "readfp"):
    configparser.ConfigParser.readfp = configparser.ConfigParser.read_file
