"""The Debian packages in a clean Debian that was booted for them."""
