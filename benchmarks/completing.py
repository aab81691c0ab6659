"""`completion bash|zsh`: a script that completes verbs, options and the names of entries."""

from __future__ import annotations

import argparse

from benchmarks import registry

SCRIPT = """{head}_physbench() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} verb="" part
  for part in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $part in -m|benchmarks|physbench) ;; *) verb=$part; break ;; esac
  done
  local words
  case $verb in
{cases}
    *) words="{verbs}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ ${{#COMPREPLY[@]}} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$word"))
}}
complete -F _physbench physbench
"""
HEADS = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}


def script(top: argparse.ArgumentParser, shell: str) -> str:
    """The script for `physbench VERB ...`; load it with `source <(physbench completion bash)`."""
    names = sorted({name for kind in registry.KINDS for name in registry.names(kind)})
    verbs = _verbs(top)
    cases = [
        f'    {verb}) words="{" ".join([*_options(part), *names])}" ;;'
        for verb, part in verbs.items()
    ]
    return SCRIPT.format(head=HEADS[shell], cases="\n".join(cases), verbs=" ".join(verbs))


def _verbs(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the verbs; argparse has no public way to its actions."""
    (verbs,) = (a.choices for a in top._actions if isinstance(a.choices, dict))  # noqa: SLF001
    return dict(verbs)


def _options(part: argparse.ArgumentParser) -> list[str]:
    actions = part._actions  # noqa: SLF001
    return [option for action in actions for option in action.option_strings]
