# Shell functions for stories at a controller: what the operator types and what it prints. Sourced after story.sh.
# shellcheck shell=bash

# shown NODE COMMAND...: how a command at a node is shown.
shown() {
    local node=$1 words=
    shift
    local word
    for word; do
        case $word in
        '' | *[!A-Za-z0-9@%+=:,./_-]*) words+=" \"$word\"" ;;
        *) words+=" $word" ;;
        esac
    done
    printf '%s  %s $%s%s\n' "$dim" "$node" "$words" "$plain"
}

indented() { sed 's/[[:space:]]*$//; s/^\(.\)/  \1/'; }

# at NODE COMMAND...: at the controller, on a host or in a VM; shown, with what it prints; it must end well.
at() {
    local node=$1
    shift
    shown "$node" "$@"
    quietly "$node" "$@" 2>&1 | indented || fail "\"$*\" at $node did not end well"
}

# operator ARGUMENTS...: netvirt, as the operator types it at the controller.
operator() { at controller netvirt "$@"; }

# refused WORDS ARGUMENTS...: netvirt at the controller, which must refuse and say these words.
refused() {
    local words=$1 answer
    shift
    shown controller netvirt "$@"
    if answer=$(quietly controller netvirt "$@" 2>&1); then
        printf '%s\n' "$answer" | indented
        fail "\"netvirt $*\" was to be refused"
    fi
    printf '%s\n' "$answer" | indented
    [[ $answer = *"$words"* ]] || fail "the refusal does not say \"$words\""
}
