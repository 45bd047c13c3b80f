# Shell functions for telling a story: chapters, commands that are shown with what they print, and a lab that is gone
# at the end however the story ends. Sourced by the stories after they have set: root, topology, lab, programs.
# shellcheck shell=bash

began=$SECONDS
step=0
title='the beginning'
up=no
done=no
scratch=
running=()

# Colours are for people at a terminal.
bold= dim= red= green= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# say WORDS...: what is done, and why.
say() { printf '%s\n' "$*" | fold -s -w 100 | sed 's, *$,,'; }

# chapter TITLE: begins a step.
chapter() {
    step=$((step + 1))
    title=$1
    printf '\n%s%s. %s%s\n' "$bold" "$step" "$title" "$plain"
}

# show COMMAND...: shows a command and what it prints; it must end well.
show() {
    printf '%s  $ %s%s\n' "$dim" "$*" "$plain"
    timeout --foreground 20 "$@" 2>&1 | sed 's/[[:space:]]*$//; s/^\(.\)/  \1/' || fail "\"$*\" did not end well"
}

# in_vm NODE COMMAND...: the same inside of a VM or host.
in_vm() {
    local node=$1
    shift
    show netvirt lab exec --lab "$lab" "$node" -- "$@"
}

# quietly NODE COMMAND...: inside of a VM or host, not shown.
quietly() {
    local node=$1
    shift
    timeout --foreground 20 netvirt lab exec --lab "$lab" "$node" -- "$@"
}

fail() {
    printf '\n%sStep %s (%s) failed: %s%s\n' "$red" "$step" "$title" "$*" "$plain" >&2
    exit 1
}

# Removes what was made, however this ends. Nobody may be left to read what it says, so it does not depend on that.
clean_up() {
    local code=$?
    trap - EXIT
    trap '' INT TERM HUP PIPE
    local process
    for process in "${running[@]}"; do kill "$process" 2>/dev/null; done
    wait 2>/dev/null
    # A "netvirt lab up" that was interrupted has taken its lab down itself.
    if [ "$up" = yes ] && netvirt lab status "$lab" >/dev/null 2>&1; then
        [ "$done" = yes ] || printf '\nCleaning up.\n' >&2 2>/dev/null
        timeout 30 netvirt lab down "$lab" >/dev/null || code=1
    fi
    [ -z "$scratch" ] || rm -rf "$scratch"
    exit "$code"
}
trap clean_up EXIT
trap 'printf "\nInterrupted in step %s (%s).\n" "$step" "$title" >&2; exit 130' INT
trap 'exit 143' TERM HUP
# A reader that goes away ("make demo | head") ends the story, and not the shell before it has cleaned up.
trap 'exit 141' PIPE

# begin: looks whether all is there that the story needs.
begin() {
    [ "$(id -u)" = 0 ] || { echo 'the demo needs root: it makes network namespaces and loads kernel programs' >&2; exit 1; }
    local program
    for program in $programs; do
        command -v "$program" >/dev/null ||
            { echo "there is no $program; \"make demo\" installs and builds what is missing" >&2; exit 1; }
    done
    if netvirt lab status "$lab" >/dev/null 2>&1; then
        echo "a lab $lab is up already; remove it with \"netvirt lab down $lab\"" >&2
        exit 1
    fi
    # What is shown needs no --lab, also where another lab has nodes of the same names.
    export NETVIRT_LAB=$lab
    scratch=$(mktemp -d)
}

# finish_lab: takes the lab down as the last step.
finish_lab() {
    up=no
    show netvirt lab down "$lab"
    done=yes
}
