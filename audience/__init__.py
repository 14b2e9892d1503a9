"""Who: reads leads, profiles, embeds and segments them. Pure: no database."""
