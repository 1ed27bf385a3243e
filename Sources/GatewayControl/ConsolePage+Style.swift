extension ConsolePage {
    /// The console's style sheet: light and dark by the reader's own setting, one column on a phone.
    static let style = #"""
        :root { color-scheme: light dark; --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
          --back: #f6f7f9; --card: #fff; --line: #d9dde4; --text: #1b2130; --soft: #5b6577; --in: #0b62d6;
          --accent: #0b62d6; --on-accent: #fff; --good: #0f7b45; --bad: #b3261e; --warn: #8a5a00; }
        @media (prefers-color-scheme: dark) { :root {
          --back: #11141b; --card: #1a1f29; --line: #313949; --text: #e7eaf0; --soft: #9aa5b8; --in: #8fc0ff;
          --accent: #6cabff; --on-accent: #0b1220; --good: #58d394; --bad: #ff8a80; --warn: #f2bd5c; } }
        * { box-sizing: border-box; }
        [hidden] { display: none !important; }
        html, body { height: 100%; margin: 0; }
        body { display: flex; flex-direction: column; background: var(--back); color: var(--text);
          font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
        header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; padding: .7rem 1.1rem;
          background: var(--card); border-bottom: 1px solid var(--line); }
        h1 { font-size: 1.1rem; margin: 0; item-spacing: -.01em; }
        h1 span { color: var(--accent); font-weight: 500; }
        h2 { font-size: .75rem; margin: 0 0 .5rem; color: var(--soft); text-transform: uppercase; item-spacing:
          .07em; }
        code, kbd, .mono, textarea, [data-role="log"] { font-family: var(--mono); font-size: .86em; }
        #origin { color: var(--soft); }
        #secure { color: var(--accent); font-family: var(--mono); font-size: .86em; }
        #layout { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(13rem, 18rem) 1fr; }
        nav { padding: 1rem; border-right: 1px solid var(--line); overflow: auto; }
        main { min-width: 0; min-height: 0; padding: 1rem; display: flex; flex-direction: column; }
        #routes { list-style: none; margin: 0 0 1rem; padding: 0; display: grid; gap: .5rem; }
        #routes form { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
        #routes form:hover { border-color: var(--accent); }
        #routes button { display: block; width: 100%; text-align: left; border: 0; background: none; padding: .55rem
          .7rem; }
        #routes b { font-family: var(--mono); font-size: .92em; overflow-wrap: anywhere; }
        #routes small { display: block; color: var(--soft); overflow-wrap: anywhere; }
        #routes small::before { content: "●"; margin-right: .35em; color: var(--good); }
        #routes [data-serving="false"] small::before { color: var(--bad); }
        #routes [data-serving="false"] small { color: var(--bad); }
        #routes label { display: flex; align-items: center; gap: .5rem; padding: 0 .7rem .55rem; color: var(--soft);
          font-size: .86em; }
        #routes label input { min-width: 0; flex: 1; }
        .field { display: grid; gap: .25rem; margin-bottom: .6rem; font-size: .86em; color: var(--soft); }
        input, select, textarea, button { font: inherit; color: inherit; background: var(--card);
          border: 1px solid var(--line); border-radius: .45rem; padding: .4rem .6rem; max-width: 100%; }
        input.mono, textarea { font-family: var(--mono); font-size: .9em; }
        textarea { width: 100%; resize: vertical; display: block; }
        input[type="number"] { width: 6em; }
        button { cursor: pointer; }
        button:hover:enabled { border-color: var(--accent); }
        button:disabled { opacity: .5; cursor: not-allowed; }
        .primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
        .quiet { background: none; }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
        #tabs { display: flex; gap: .3rem; overflow-x: auto; padding: 2px; flex: none; }
        #tabs:empty { display: none; }
        #tabs button { flex: none; border-radius: .5rem .5rem 0 0; border-bottom-width: 0; color: var(--soft);
          font-family: var(--mono); font-size: .86em; }
        #tabs button[aria-selected="true"] { color: var(--text); border-color: var(--accent); }
        #tabs button::before { content: "●"; margin-right: .4em; color: var(--bad); }
        #tabs button[data-state="open"]::before { color: var(--good); }
        #tabs button[data-state="connecting"]::before, #tabs button[data-state="closing"]::before { color:
          var(--warn); }
        #tabs .unread { margin-left: .5em; color: var(--accent); font-weight: 700; }
        #tabs .unread:empty { display: none; }
        #empty { margin: 12vh auto; color: var(--soft); text-align: center; }
        #panels { flex: 1; min-height: 0; display: flex; }
        section { flex: 1; min-width: 0; min-height: 0; display: flex; flex-direction: column; gap: .6rem; padding:
          .7rem;
          background: var(--card); border: 1px solid var(--line); border-radius: 0 .6rem .6rem .6rem; }
        .bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
        .bar label { color: var(--soft); font-size: .86em; }
        .grow { flex: 1 1 6rem; min-width: 0; }
        form { margin: 0; }
        [data-role="sendForm"] { display: grid; gap: .5rem; }
        [data-role="status"] { padding: .15rem .7rem; border-radius: 1rem; border: 1px solid currentColor; font-size:
          .86em; }
        [data-state="open"][data-role="status"] { color: var(--good); }
        [data-state="closed"][data-role="status"] { color: var(--bad); }
        [data-state="connecting"][data-role="status"], [data-state="closing"][data-role="status"] { color:
          var(--warn); }
        [data-role="log"] { flex: 1; min-height: 9rem; overflow: auto; border: 1px solid var(--line); border-radius:
          .45rem;
          background: var(--back); padding: .35rem 0; }
        .entry { display: grid; grid-template-columns: 7.6em 1.2em 1fr auto; gap: .5em; padding: .1rem .6rem; }
        .entry:hover { background: var(--card); }
        .entry time, .entry small { color: var(--soft); }
        .entry pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
        .entry[data-direction="in"] i, .entry[data-direction="in"] pre { color: var(--in); }
        .entry[data-direction="error"] { color: var(--bad); }
        .entry[data-direction="info"] pre { color: var(--soft); }
        .entry i { font-style: normal; }
        .note { margin: 0; color: var(--soft); font-size: .86em; }
        details.note { margin-top: 1rem; }
        summary { cursor: pointer; }
        kbd { border: 1px solid var(--line); border-radius: .3em; padding: 0 .3em; }
        @media (max-width: 44rem) {
          html, body { height: auto; min-height: 100%; }
          #layout { display: block; }
          nav { border-right: 0; border-bottom: 1px solid var(--line); overflow: visible; }
          main { padding: .7rem; min-height: 90vh; }
          [data-role="log"] { min-height: 40vh; max-height: 60vh; }
          .entry { grid-template-columns: auto 1.2em 1fr; gap: 0 .5em; padding-block: .25rem; }
          .entry pre { grid-column: 1 / -1; grid-row: 2; }
          .entry small { justify-self: end; }
          input, select, textarea, button { font-size: 16px; }
          input[type="number"] { width: 4.5em; }
          select { width: 8em; }
        }
        """#
}
