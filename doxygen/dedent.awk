# Doxygen shows the snippets through this filter: what stands between two markers //! [name] loses as much
# indentation as the markers have.
/^ *\/\/! \[/ {
    match($0, /^ */)
    margin = inside ? 0 : RLENGTH
    inside = !inside
}
{ print inside && substr($0, 1, margin) ~ /^ *$/ ? substr($0, margin + 1) : $0 }
