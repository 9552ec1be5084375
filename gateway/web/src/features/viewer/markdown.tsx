/** Markdown as elements of React: markup in the text stays text, pictures and foreign addresses are not loaded. */

import ReactMarkdown from "react-markdown";
import gfm from "remark-gfm";

export default function Markdown({ text }: { text: string }) {
  return (
    <ReactMarkdown
      remarkPlugins={[gfm]}
      components={{
        img: ({ alt }) => <span className="muted">[{alt}]</span>,
        a: ({ href, children }) => (
          <a href={href} rel="noopener noreferrer nofollow" target="_blank">
            {children}
          </a>
        ),
      }}
    >
      {text}
    </ReactMarkdown>
  );
}
