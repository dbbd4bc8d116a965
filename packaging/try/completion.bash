# What the installed completion offers, as bash asks for it.
. /usr/share/bash-completion/bash_completion
_completion_loader neap || true
spec=$(complete -p neap)
COMP_WORDS=(neap --dr) COMP_CWORD=1 COMP_LINE='neap --dr' COMP_POINT=9
${spec##*-F } neap --dr neap 2>/dev/null || _neap
[ "${COMPREPLY[*]}" = --drain= ] || { echo "completion: ${COMPREPLY[*]}" >&2; exit 1; }
echo "completion: neap --dr: ${COMPREPLY[*]}"
