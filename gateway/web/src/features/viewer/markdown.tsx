/** Markdown as elements of React: markup in the text stays text, pictures and foreign addresses are not loaded. */

import ReactMarkdown, { type Components } from "react-markdown";
import gfm from "remark-gfm";

const ELEMENTS: Components = {
  img: ({ alt }) => <span className="muted">[{alt}]</span>,
  a: ({ href, children }) => (
    <a href={href} rel="noopener noreferrer nofollow" target="_blank">
      {children}
    </a>
  ),
};

export default function Markdown({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={[gfm]} components={ELEMENTS}>
      {text}
    </ReactMarkdown>
  );
}
