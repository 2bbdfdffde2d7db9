"""maclip_export: CLIP checkpoints to bundles, on a workstation with torch and open_clip.

Importing this loads neither; `maclip_export.export.export_bundle` does.
"""
