import hashlib,sys
def pattern(size):
    d=bytearray(size); G=8192
    g=0
    while g*G<size:
        last=(g+1)*G>=size
        if last or hashlib.sha256(b"group %d"%g).digest()[0]<16:
            end=min((g+1)*G,size); at=0
            while g*G+at<end:
                n=(g*G+at)//512
                text=b"sector %d"%n
                if g%8==0: text+=b".%d"%(at%512//32)
                s=hashlib.sha256(text).digest()
                d[g*G+at:min(g*G+at+32,end)]=s[:min(32,end-g*G-at)]
                at+=32
        g+=1
    return bytes(d)
if __name__=="__main__":
    open(sys.argv[2],"wb").write(pattern(int(sys.argv[1])))
